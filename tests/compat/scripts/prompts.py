"""Prompts by MLflow 3's functions: registered, versioned, aliased, tagged, searched, loaded, deleted."""

import sys

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

mlflow.set_tracking_uri(sys.argv[1])
genai, client = mlflow.genai, MlflowClient()
NAME = "greeting"


def refused(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except MlflowException as error:
        return error
    raise AssertionError("not refused")


first = genai.register_prompt(
    NAME, "Hello {{name}}!", commit_message="first", tags={"tone": "plain"}
)
assert (first.version, first.template, first.commit_message) == (1, "Hello {{name}}!", "first")
assert first.format(name="Ann") == "Hello Ann!"
chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "{{question}}"}]
second = genai.register_prompt(
    NAME,
    chat,
    response_format={"type": "object", "properties": {"answer": {"type": "string"}}},
    model_config={"model_name": "some", "temperature": 0.5},
)
assert (second.version, second.is_text_prompt) == (2, False)

# Loading, in every way in which a prompt is named.
assert genai.load_prompt(f"prompts:/{NAME}/1").template == "Hello {{name}}!"
assert genai.load_prompt(NAME, version=2).template == chat
assert genai.load_prompt(NAME).version == 2
loaded = genai.load_prompt(f"prompts:/{NAME}/2")
assert loaded.response_format["properties"] == {"answer": {"type": "string"}}
assert loaded.model_config["temperature"] == 0.5
assert genai.load_prompt(f"prompts:/{NAME}/99", allow_missing=True) is None
assert genai.load_prompt("prompts:/nobody/1", allow_missing=True) is None
refused(genai.load_prompt, f"prompts:/{NAME}/99")

# Aliases.
genai.set_prompt_alias(NAME, "live", 1)
assert genai.load_prompt(f"prompts:/{NAME}@live", cache_ttl_seconds=0).version == 1
genai.set_prompt_alias(NAME, "live", 2)
assert genai.load_prompt(f"prompts:/{NAME}@live", cache_ttl_seconds=0).version == 2
assert genai.load_prompt(f"prompts:/{NAME}@latest").version == 2
genai.delete_prompt_alias(NAME, "live")
refused(genai.load_prompt, f"prompts:/{NAME}@live", cache_ttl_seconds=0)

# Tags of the prompt and of its versions.
genai.set_prompt_tag(NAME, "team", "support")
assert genai.get_prompt_tags(NAME)["team"] == "support"
genai.delete_prompt_tag(NAME, "team")
assert "team" not in genai.get_prompt_tags(NAME)
genai.set_prompt_version_tag(NAME, 1, "reviewed", "yes")
assert client.get_prompt_version(NAME, "1").tags["reviewed"] == "yes"
assert client.get_prompt_version(NAME, "1").tags["tone"] == "plain"
genai.delete_prompt_version_tag(NAME, 1, "reviewed")
assert "reviewed" not in client.get_prompt_version(NAME, "1").tags
genai.set_prompt_model_config(NAME, 1, {"model_name": "other", "max_tokens": 7})
assert client.get_prompt_version(NAME, "1").model_config["max_tokens"] == 7
genai.delete_prompt_model_config(NAME, 1)

# Searches show prompts and models apart.
client.create_registered_model("a-model")
genai.register_prompt("farewell", "Bye {{name}}", tags={"tone": "plain"})
assert {p.name for p in genai.search_prompts()} == {NAME, "farewell"}
assert [p.name for p in genai.search_prompts("name = 'farewell'")] == ["farewell"]
assert [p.name for p in genai.search_prompts(max_results=1)] == ["farewell"]
assert "a-model" in {m.name for m in client.search_registered_models()}
assert not {NAME, "farewell"} & {m.name for m in client.search_registered_models()}
assert client.search_prompt_versions is not None  # MLflow offers it on Databricks only

# A prompt that a run used is linked to it; a model's name is not a prompt's.
with mlflow.start_run() as run:
    used = genai.load_prompt(f"prompts:/{NAME}/1")
    client.link_prompt_version_to_run(run.info.run_id, used)
assert NAME in client.get_run(run.info.run_id).data.tags["mlflow.linkedPrompts"]
refused(genai.load_prompt, "prompts:/a-model/1")
refused(genai.register_prompt, "a-model", "text")
refused(genai.register_prompt, "no/slash", "text")

# Deleting.
client.delete_prompt_version(NAME, "1")
refused(client.get_prompt_version, NAME, "1")
client.delete_prompt_version(NAME, "2")
client.delete_prompt(NAME)
assert {p.name for p in genai.search_prompts()} == {"farewell"}
print("prompts: all checks passed")
