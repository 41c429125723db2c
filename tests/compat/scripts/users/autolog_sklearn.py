"""Autologging of scikit-learn: one estimator, and a grid search with its child runs."""

import mlflow
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split

mlflow.set_experiment("autolog_sklearn")
mlflow.sklearn.autolog(max_tuning_runs=3, registered_model_name=None)

X, y = load_iris(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

with mlflow.start_run(run_name="plain"):
    model = LogisticRegression(max_iter=300)
    model.fit(X_train, y_train)
    model.score(X_test, y_test)
    assert isinstance(model.predict(X_test), (list, pd.Series, object))

mlflow.sklearn.autolog(max_tuning_runs=2, log_models=False)
with mlflow.start_run(run_name="search") as parent:
    GridSearchCV(LogisticRegression(max_iter=300), {"C": [0.1, 1.0, 10.0]}, cv=3).fit(
        X_train, y_train
    )

children = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
assert len(children) == 2, children
