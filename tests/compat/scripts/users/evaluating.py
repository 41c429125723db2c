"""What mlflow.evaluate stores: metrics, plots, tables, datasets."""

import mlflow
import pandas as pd
from mlflow.metrics import MetricValue
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

mlflow.set_experiment("evaluating")
evaluate = mlflow.models.evaluate if mlflow.__version__.startswith("3") else mlflow.evaluate
X, y = load_breast_cancer(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=5000).fit(X[:400], y[:400])
frame = X[400:].assign(label=y[400:])

with mlflow.start_run(run_name="predictions of a model"):
    scored = frame.assign(prediction=model.predict(X[400:]))
    data = mlflow.data.from_pandas(scored, targets="label", predictions="prediction", name="cancer")
    result = evaluate(data=data, model_type="classifier", evaluators=["default"])
assert 0.9 < result.metrics["accuracy_score"] <= 1.0
assert any(name.endswith("confusion_matrix") for name in result.artifacts)


def largest(predictions, targets, metrics):
    return float((predictions - targets).abs().max())


def lengths(predictions, targets, metrics):
    scores = [len(p) for p in predictions]
    return MetricValue(scores=scores, aggregate_results={"mean": sum(scores) / len(scores)})


with mlflow.start_run(run_name="a function"):
    result = evaluate(
        model=lambda frame: model.predict_proba(frame)[:, 1].round(3),
        data=frame,
        targets="label",
        model_type="regressor",
        evaluators=["default"],
        evaluator_config={"default": {"log_model_explainability": False}},
        extra_metrics=[
            mlflow.metrics.make_metric(
                eval_fn=largest,
                greater_is_better=False,
                name="largest",
            )
        ],
    )
assert "largest" in " ".join(result.metrics)

with mlflow.start_run(run_name="rows"):
    rows = pd.DataFrame({"inputs": ["a", "b"], "ground_truth": ["x", "y"], "outputs": ["x", "z"]})
    result = evaluate(
        data=rows,
        targets="ground_truth",
        predictions="outputs",
        extra_metrics=[
            mlflow.metrics.exact_match(),
            mlflow.metrics.make_metric(eval_fn=lengths, greater_is_better=True, name="lengths"),
        ],
        evaluators=["default"],
    )
assert result.metrics["exact_match/v1"] == 0.5
assert len(result.tables["eval_results_table"]) == 2
