"""Autologging of XGBoost and LightGBM: metrics per round, importances, models."""

import lightgbm
import mlflow
import xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

mlflow.set_experiment("autolog_boosters")
X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

mlflow.xgboost.autolog(model_format="json")
with mlflow.start_run(run_name="xgboost"):
    train = xgboost.DMatrix(X_train, label=y_train)
    test = xgboost.DMatrix(X_test, label=y_test)
    xgboost.train(
        {"objective": "binary:logistic", "max_depth": 2, "nthread": 1, "seed": 1},
        train,
        num_boost_round=20,
        evals=[(train, "train"), (test, "test")],
        early_stopping_rounds=15,
        verbose_eval=False,
    )

mlflow.lightgbm.autolog(log_models=False)
with mlflow.start_run(run_name="lightgbm"):
    train = lightgbm.Dataset(X_train, label=y_train)
    lightgbm.train(
        {
            "objective": "binary",
            "num_leaves": 4,
            "num_threads": 1,
            "seed": 1,
            "verbosity": -1,
            "deterministic": True,
            "force_row_wise": True,
        },
        train,
        num_boost_round=20,
        valid_sets=[train, lightgbm.Dataset(X_test, label=y_test, reference=train)],
        valid_names=["train", "test"],
    )
