import runpy
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_of_calls_is_what_the_server_has():
    made = runpy.run_path(str(DOCS / "generate_mlflow_api.py"))["page"]()
    page = (DOCS / "reference" / "mlflow-api.md").read_text()
    assert page == made, "run: python docs/generate_mlflow_api.py"
