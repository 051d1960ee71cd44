"""What W&B would refuse is refused by plan, and which variables of the shell count."""

from __future__ import annotations

import pytest

from helpers.constants import TINY
from sweep.config.tracking_rules import tracking_faults
from sweep.errors import UserError
from sweep.plan.plan import plan_sweep
from sweep.plan.tracking import resolve

KEY = "0123456789" * 4
LONG = [f"reward.rewards=[{','.join(['ground_truth', 'no_python', 'no_repetition', 'format', 'random'] * 3)}]"]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("project", "my-lab/rlvr", ["W&B takes no /", "tracking.entity=my-lab tracking.project=rlvr"]),
        ("project", "a:b", ["tracking.project=a:b: W&B takes no :", "write -"]),
        ("project", "50%?#", ["W&B takes no # ? %"]),
        ("project", "a\\b", ["W&B takes no \\ in"]),
        ("project", " ", ["leave it null"]),
        ("project", "", ["leave it null"]),
        ("project", "a\nb", ["no line breaks"]),
        ("project", "p" * 129, ["129 characters, and W&B takes 128"]),
        ("entity", "my-lab/rlvr", ["tracking.entity=my-lab/rlvr: no name of a W&B user or team"]),
        ("entity", "me@lab.org", ["no name of a W&B user or team"]),
        ("entity", "my lab", ["no name of a W&B user or team"]),
        ("entity", "", ["leave it null"]),
        ("tags", ("",), ['tracking.tags=[""]: a tag is empty; leave it out']),
        ("tags", ("a", " "), ["a tag is empty"]),
        ("tags", ("a", "b", "a"), ["a stands there more than once; leave one out"]),
        ("tags", ("t" * 65,), ["has 65 characters, and W&B takes 64; shorten it"]),
        ("base_url", "localhost:8080", ["tracking.base_url=localhost:8080: no address of a server"]),
    ],
)
def test_what_wandb_would_refuse_is_a_fault(key, value, words, composed):
    (fault,) = tracking_faults(composed(**{key: value}).tracking)
    assert all(word in fault for word in words), fault


def test_what_wandb_takes_is_none(composed):
    taken = {"project": "p" * 128, "entity": "my_lab-2", "tags": ("t" * 64, "with space"), "base_url": "http://a:8080"}
    assert tracking_faults(composed(**taken).tracking) == []


def test_a_plan_refuses_what_wandb_would_refuse():
    with pytest.raises(UserError) as caught:
        plan_sweep(["tracking.project=my-lab/rlvr", 'tracking.tags=[""]'])
    assert "tracking.project=my-lab/rlvr: " in str(caught.value) and "a tag is empty" in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "shell", "expected", "said"),
    [
        ({}, {}, ("offline", "rlvr-sweep", None, ()), ["W&B: offline, because there is no API key"]),
        ({}, {"WANDB_API_KEY": KEY}, ("online", "rlvr-sweep", None, ()), ["W&B: online; project rlvr-sweep"]),
        ({"env": {"WANDB_API_KEY": KEY}}, {}, ("online", "rlvr-sweep", None, ()), ["W&B: online; project"]),
        ({"env": {"WANDB_PROJECT": "p"}}, {"WANDB_PROJECT": "q"}, ("offline", "p", None, ()), ["(WANDB_PROJECT)"]),
        ({}, {"WANDB_MODE": "online"}, ("online", "rlvr-sweep", None, ()), ["W&B: online (WANDB_MODE)"]),
        ({}, {"WANDB_MODE": "dryrun", "WANDB_API_KEY": KEY}, ("offline", "rlvr-sweep", None, ()), ["(WANDB_MODE)"]),
        ({}, {"WANDB_MODE": "disabled", "WANDB_PROJECT": "a/b"}, ("disabled", None, None, ()), ["(WANDB_MODE)"]),
        ({}, {"WANDB_DISABLED": "true"}, ("disabled", None, None, ()), ["W&B: disabled (WANDB_DISABLED)"]),
        ({}, {"WANDB_PROJECT": ""}, ("offline", "rlvr-sweep", None, ()), []),
        (
            {},
            {"WANDB_PROJECT": "p", "WANDB_ENTITY": "e", "WANDB_TAGS": "a, b,"},
            ("offline", "p", "e", ("a", "b")),
            ["project p (WANDB_PROJECT); entity e (WANDB_ENTITY)", "tags a, b (WANDB_TAGS)"],
        ),
        (
            {"project": "mine", "mode": "offline", "tags": ("x",)},
            {"WANDB_PROJECT": "p", "WANDB_MODE": "online", "WANDB_TAGS": "y"},
            ("offline", "mine", None, ("x",)),
            [f"tracking.{key} counts, not WANDB_{key.upper()}" for key in ("project", "mode", "tags")],
        ),
        ({"mode": "disabled"}, {"WANDB_MODE": "online"}, ("disabled", None, None, ()), ["not WANDB_MODE"]),
        (
            {},
            {"WANDB_RUN_ID": "same", "WANDB_RUN_GROUP": "g", "WANDB_SWEEP_ID": "e/p/s"},
            ("offline", "rlvr-sweep", None, ()),
            ["W&B: WANDB_RUN_ID, WANDB_RUN_GROUP, WANDB_SWEEP_ID not used"],
        ),
    ],
)
def test_the_shells_variables_count_where_the_configuration_is_open(typed, shell, expected, said, composed, tmp_path):
    found = resolve(composed(**typed), {"NETRC": str(tmp_path / "none"), "WANDB_CONFIG_DIR": str(tmp_path), **shell})
    made = found.tracking
    assert (made.mode, made.project, made.entity, made.tags) == expected
    assert all(words in "\n".join(found.said) for words in said), found.said
    assert not found.faults


def test_the_server_of_a_login_is_the_one_whose_key_is_looked_for(composed, tmp_path):
    (tmp_path / "settings").write_text("[default]\nbase_url = https://wandb.mylab.org\n")
    (tmp_path / "netrc").write_text(f"machine wandb.mylab.org login user password {KEY}\n")
    (tmp_path / "netrc").chmod(0o600)
    config = composed()
    shell = {"NETRC": str(tmp_path / "netrc"), "WANDB_CONFIG_DIR": str(tmp_path)}
    assert resolve(config, shell).tracking.base_url == "https://wandb.mylab.org"
    assert resolve(config, shell).tracking.mode == "online"
    elsewhere = resolve(config, {**shell, "WANDB_BASE_URL": "https://other.org"}).tracking
    assert (elsewhere.mode, elsewhere.base_url) == ("offline", "https://other.org")


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ({"WANDB_PROJECT": "my-lab/rlvr"}, "WANDB_PROJECT=my-lab/rlvr: W&B takes no /"),
        ({"WANDB_ENTITY": "my lab"}, "WANDB_ENTITY=my lab: no name"),
        ({"WANDB_TAGS": f"a,{'t' * 65}"}, "has 65 characters"),
        ({"WANDB_MODE": "of"}, "WANDB_MODE=of: should be one of online"),
    ],
)
def test_variables_that_wandb_would_refuse_are_a_fault_unless_it_is_off(shell, words, composed):
    (fault,) = resolve(composed(), shell).faults
    assert words in fault
    assert not resolve(composed(mode="disabled"), shell).faults


def test_a_launch_with_such_a_variable_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_PROJECT", "my-lab/rlvr")
    (obstacle,) = plan_sweep([*TINY[:-1], f"output_dir={tmp_path / 'runs'}"]).obstacles
    assert obstacle.startswith("WANDB_PROJECT=my-lab/rlvr: ") and not (tmp_path / "runs").exists()
