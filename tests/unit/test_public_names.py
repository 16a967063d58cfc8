"""Names that others import, and what importing costs."""

import importlib
import subprocess
import sys

import pytest


def loaded_by(statement):
    """The modules that a new interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("module", "name"),
    [
        pytest.param("flexmeasures.app", "create", id="for a WSGI script"),
        pytest.param(
            "flexmeasures.ui.utils.view_utils", "render_flexmeasures_template", id="for plugins' pages"
        ),
        pytest.param("flexmeasures.data.transactional", "as_transaction", id="for scripts"),
        pytest.param("flexmeasures.services.schedulers", "scheduler", id="for plugins' schedulers"),
        pytest.param("flexmeasures.domain.forecasting", "register_model", id="for plugins' forecasters"),
        pytest.param("flexmeasures.services.listings", "list_asset_rows", id="for plugins' endpoints"),
        pytest.param("flexmeasures.testing", "make_cast", id="for plugins' tests"),
        pytest.param("flexmeasures.data.transactional", "task_with_status_report", id="for recurring tasks"),
        pytest.param(
            "flexmeasures.data.transactional", "PartialTaskCompletionException", id="for partial success"
        ),
    ],
)
def test_public_names_stay(module, name):
    """The names of the documentation can be imported, and their modules say so."""
    imported = importlib.import_module(module)
    assert callable(getattr(imported, name))
    assert name in imported.__all__


def test_the_package_loads_next_to_nothing():
    """Importing the package loads nothing but itself and its version."""
    loaded = loaded_by("before = set(sys.modules); import flexmeasures; [sys.modules.pop(n) for n in before]")
    assert {name for name in loaded if not name.startswith("_")} == {"flexmeasures", "flexmeasures._version"}


def test_the_domain_is_pure():
    """Importing the whole domain loads no framework, no database and none of our other parts."""
    walk = (
        "import pkgutil, importlib, flexmeasures.domain as d;"
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(d.__path__, 'flexmeasures.domain.')]"
    )
    loaded = loaded_by(walk)
    # LightGBM loads pandas where that is installed, so pandas cannot be asked for here.
    foreign = {"flask", "sqlalchemy", "psycopg", "redis", "rq", "werkzeug", "dotenv"}
    assert not loaded & foreign
    ours = {name for name in loaded if name.startswith("flexmeasures.")}
    assert all(name.startswith(("flexmeasures.domain", "flexmeasures._version")) for name in ours)


def test_help_loads_no_platform():
    """The list of commands is printed without loading the platform."""
    loaded = loaded_by("import flexmeasures.cli as c; c.cli(['--help'], standalone_mode=False)")
    assert not loaded & {"flask", "sqlalchemy", "numpy", "flexmeasures.app", "flexmeasures.settings"}
