import pytest

from lastgood.core.mlmodel import FACT_FILE_SIZE_MAX, read_model_facts
from lastgood.errors import InvalidInput, TooLarge

MLMODEL = b"""
flavors:
  sklearn: {sklearn_version: 1.9.1, code: null}
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.7}
run_id: 0af3
signature:
  inputs: '[{"type": "double", "name": "a"}]'
  outputs: null
"""


def test_reads_what_an_mlflow_model_says():
    contents = {
        "MLmodel": MLMODEL,
        "requirements.txt": b"# made by hand\nscikit-learn==1.9.1  # pinned\n-r more.txt\n\n",
    }
    facts = read_model_facts(
        contents, paths=["MLmodel", "requirements.txt", "uv.lock", "model.pkl"]
    )
    assert facts.flavors == ("python_function", "sklearn")
    assert facts.signature == '{"inputs":[{"name":"a","type":"double"}]}'
    assert facts.environment.python == "3.11.7"
    assert facts.environment.packages == ("scikit-learn==1.9.1",)
    assert facts.environment.files == ("requirements.txt", "uv.lock")
    assert facts.run_id == "0af3"


def test_without_any_of_the_files_nothing_is_claimed():
    facts = read_model_facts({}, paths=["weights.bin"])
    assert (facts.flavors, facts.signature, facts.environment.python) == ((), "", "")


def test_conda_gives_python_and_packages_when_it_is_all_there_is():
    conda = b"name: e\ndependencies:\n- python=3.10.4\n- pip\n- pip:\n  - xgboost==2.0\n"
    facts = read_model_facts({"conda.yaml": conda}, paths=["conda.yaml"])
    assert facts.environment.python == "3.10.4"
    assert facts.environment.packages == ("xgboost==2.0",)


@pytest.mark.parametrize(
    "text",
    [
        b"flavors: [1, 2]",
        b"flavors: {a: 3}",
        b"{",
        b"\xff\xfe\x00",
        b"!!python/object/apply:os.system ['true']",
        b"[" * 5000,
        b"signature: 4",
    ],
)
def test_refuses_what_is_no_mlmodel_file(text):
    with pytest.raises(InvalidInput, match="'MLmodel' cannot be read"):
        read_model_facts({"MLmodel": text}, paths=["MLmodel"])


def test_aliases_do_not_grow():
    bomb = b"x0: &x0 [a, a]\n" + b"".join(
        b"x%d: &x%d [*x%d, *x%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 60)
    )
    assert read_model_facts({"MLmodel": bomb + b"flavors: {}\n"}, paths=["MLmodel"]).flavors == ()


def test_refuses_a_file_that_is_too_long():
    with pytest.raises(TooLarge):
        read_model_facts(
            {"requirements.txt": b"a" * (FACT_FILE_SIZE_MAX + 1)}, paths=["requirements.txt"]
        )
