"""The rules of the layout: who may import whom, what is pure, and what no file may contain."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from contracts.roles import Role
from deploy.district.__main__ import main as district_files
from deploy.stack.plan import SERVICES

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("contracts", "chassis", "services", "deploy")
NOT_OURS = {".git", *(line.strip("/") for line in (ROOT / ".gitignore").read_text().split())}
LONGEST = 450

MODULES = {"__init__", "__main__", "service", "domain", "views", "queries", "api", "bodies", "reference", "schema"}
"""What every service is made of: each a file, or a folder."""
DOMAIN = {"__init__", "case"}
DECIDES = {"commands", "reactions"}
"""What the domain of a service that decides has besides."""
MOST_PARAMETERS = 6

RUN_ALONE = """
import sys
from chassis.runtime import Runtime, application
from chassis.settings import Settings
from services.{service}.service import build

settings = Settings.model_validate({{"CASEGRID_DISTRICT": sys.argv[1]}})
application(Runtime(build(settings), settings)).openapi()
strangers = [name for name in sys.modules if name.startswith(("services.", "deploy", "contracts.export"))]
print([name for name in strangers if name.split(".")[1:2] != ["{service}"]])
"""

RUN_DOMAIN = """
import sys
import services.{service}.domain
from contracts import clocks, reference, wire

doing_io = {{"asyncpg", "aiokafka", "fastapi", "starlette", "httpx", "uvicorn", "opentelemetry", "yaml"}}
print(sorted(doing_io & set(sys.modules)))
allowed = {{"chassis.engine", "chassis.engine.decider"}}
print(sorted(name for name in sys.modules if name.startswith("chassis.") and name not in allowed))
"""


def files(*folders: str, suffix: str = "") -> Iterator[Path]:
    """Files of the project below some folders, or of all of it."""
    for start in folders or (".",):
        for folder, below, names in os.walk(ROOT / start):
            below[:] = [name for name in below if name not in NOT_OURS and not name.endswith(".egg-info")]
            yield from (Path(folder) / name for name in names if name.endswith(suffix) and name not in NOT_OURS)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def trees(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for path in files(*folders, suffix=".py"):
        yield named(path), ast.parse(path.read_text())


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CASEGRID"))}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def copy_to(folder: Path, *parts: str) -> Path:
    for part in parts:
        target = folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, target, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy(ROOT / part, target)
    return folder


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return run(folder, str(Path(sys.executable).with_name("lint-imports")), "--no-cache")


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("district")
    assert district_files(["--scale", "tiny", "--out", str(folder)]) == 0
    return folder


def test_the_import_rules_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("path", "line", "rule"),
    [
        ("services/intake/views.py", "import services.triage.service", "No service imports another"),
        ("services/audit/api.py", "import services.dispatch", "No service imports another"),
        ("chassis/clock.py", "import services.intake", "never the other"),
        ("contracts/fields.py", "import chassis.engine.decider", "never the other"),
        ("services/audit/api.py", "import deploy.stack.plan", "never the other"),
        ("services/intake/api.py", "import contracts.export", "what writes the contracts' files"),
        ("chassis/engine/decider.py", "import chassis.store.database", "are pure"),
        ("chassis/store/views.py", "import chassis.kafka.records", "Each layer of the chassis"),
        ("chassis/engine/inbox.py", "import chassis.web.errors", "Each layer of the chassis"),
        ("chassis/retry.py", "import chassis.telemetry", "Each layer of the chassis"),
        ("contracts/reference/base.py", "import os", "are pure"),
        ("services/feedback/domain/__init__.py", "from services.feedback import views", "are pure"),
    ],
)
def test_the_import_rules_catch_whoever_breaks_them(tmp_path: Path, path: str, line: str, rule: str) -> None:
    copy_to(tmp_path, *PRODUCT, "pyproject.toml")
    with (tmp_path / path).open("a") as file:
        file.write(f"\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    broken = re.findall(r"^(.*(?:\n.*)?) BROKEN$", done.stdout, re.MULTILINE)
    assert any(rule in " ".join(name.split()) for name in broken), done.stdout


def test_the_rules_know_every_module_of_the_contracts() -> None:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    there = {f"contracts.{path.stem}" for path in (ROOT / "contracts").iterdir() if path.suffix == ".py"}
    there |= {f"contracts.{path.parent.name}" for path in (ROOT / "contracts").glob("*/__init__.py")}
    listed = [set(rule["source_modules"]) for rule in rules if "source_modules" in rule]
    assert len(listed) == 2
    for modules in listed:
        assert {name for name in modules if name.startswith("contracts.")} == there - {
            "contracts.__init__",
            "contracts.export",
        }
    independent = next(rule["modules"] for rule in rules if rule["type"] == "independence")
    assert independent == [f"services.{name}" for name in SERVICES]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_whole_with_the_other_four_absent(service: str, tmp_path: Path, district: Path) -> None:
    copy_to(tmp_path, "contracts", "chassis", "services/__init__.py", f"services/{service}")
    shutil.rmtree(tmp_path / "contracts/export")
    done = run(tmp_path, sys.executable, "-c", RUN_ALONE.format(service=service), str(district))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("service", SERVICES)
def test_a_domain_loads_nothing_that_does_io(service: str) -> None:
    done = run(ROOT, sys.executable, "-c", RUN_DOMAIN.format(service=service))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n[]\n"


def test_contracts_and_domains_ask_no_clock_and_open_no_file() -> None:
    asked = {"now", "utcnow", "today", "open", "print", "input", "read_text", "read_bytes", "uuid4", "uuid7"}
    domains = [f"services/{service}/domain" for service in SERVICES]
    sources = [*trees(*(folder for folder in domains if (ROOT / folder).is_dir()), "contracts/reference")]
    single = [*(ROOT / "contracts").glob("*.py"), *(ROOT / f"{folder}.py" for folder in domains)]
    sources += [(named(path), ast.parse(path.read_text())) for path in single if path.exists()]
    found = [
        f"{path}:{node.lineno}: {ast.unparse(node.func)}()"
        for path, tree in sources
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in asked
    ]
    assert found == []


@pytest.mark.parametrize("service", SERVICES)
def test_all_services_are_made_of_the_same_files(service: str) -> None:
    folder = ROOT / "services" / service
    there = {path.stem for path in folder.iterdir()}
    assert not (lacks := MODULES - there), f"services/{service} lacks {sorted(lacks)}"
    domain = {path.stem for path in (folder / "domain").glob("*.py")}
    decides = "Model(" in (folder / "service.py").read_text()
    lacks = (DOMAIN | DECIDES if decides else DOMAIN) - domain
    assert not lacks, f"services/{service}/domain lacks {sorted(lacks)}"
    assert (folder / "service.py").read_text().count("\n") < 80, "the wiring stands on one screen"


def functions(*folders: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, ast.AST]]:
    """(where, function, what it stands in) of every function."""
    for path, tree in trees(*folders):
        for parent in ast.walk(tree):
            for node in ast.iter_child_nodes(parent):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{path}:{node.lineno} {node.name}", node, parent


def is_a_route(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("router." in ast.unparse(decorator) for decorator in node.decorator_list)


def test_no_function_has_more_than_six_parameters() -> None:
    """A route's dependencies do not count: FastAPI gives them. Nor do the fields of an event that is built."""
    built = "contracts/wire.py"
    found = []
    for where, node, _ in functions(*PRODUCT):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        counted = [one for one in arguments if one.arg not in ("self", "cls")]
        if is_a_route(node):
            counted = [one for one in counted if not ast.unparse(one.annotation or ast.Constant(None)).endswith("Dep")]
        if len(counted) > MOST_PARAMETERS and not where.startswith(built):
            found.append(f"{where}: {len(counted)}")
    assert found == []


def test_routes_stand_at_module_level() -> None:
    nested = [
        where
        for where, node, parent in functions("services")
        if is_a_route(node) and not isinstance(parent, ast.Module)
    ]
    assert nested == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_query_does_not_write(service: str) -> None:
    texts = [
        node.value
        for name in ("queries", "indicators", "records", "completeness", "questions")
        for path in (ROOT / "services" / service).glob(f"{name}.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert texts
    assert [text for text in texts if re.search(r"\b(INSERT INTO|UPDATE \w+ SET|DELETE FROM|FOR UPDATE)\b", text)] == []


def test_what_an_object_can_do_is_a_type_and_not_asked_of_it() -> None:
    asked = [
        f"{path}:{node.lineno}"
        for path, tree in trees(*PRODUCT)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "hasattr"
    ]
    assert asked == []


def test_roles_are_named_by_the_list_of_roles() -> None:
    """A misspelt text would close a route, or open it to nobody."""
    written = [
        f"{path}:{node.lineno} {one.value}"
        for path, tree in trees("chassis", "services")
        for node in ast.walk(tree)
        if isinstance(node, ast.Set | ast.Compare)
        for one in (node.elts if isinstance(node, ast.Set) else (node.left, *node.comparators))
        if isinstance(one, ast.Constant) and one.value in set(Role)
    ]
    assert written == []


def test_services_leave_the_writing_of_instants_to_the_contracts() -> None:
    """`contracts.fields.instant` is what every reader of ours takes, from 1970 to 2199."""
    written = [
        f"{path}:{node.lineno}"
        for path, tree in trees("services", "chassis/web")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("isoformat", "strftime")
    ]
    assert written == []


def test_whatever_is_streamed_is_streamed_in_one_place() -> None:
    """`chassis.web.streams` bounds and shares it; an endless answer of another kind would be neither."""
    streamed = [
        f"{path}:{getattr(node, 'lineno', 0)} {name}"
        for path, tree in trees("chassis", "services")
        if path != "chassis/web/streams.py"
        for node in ast.walk(tree)
        for name in (getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "name", None))
        if name in ("StreamingResponse", "EventSourceResponse", "FileResponse", "MEDIA_TYPE")
    ]
    assert streamed == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    modules = {
        named(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in files(*PRODUCT, suffix=".py")
    }
    for path, tree in trees(*PRODUCT):
        name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        wanted = graph.setdefault(name, set())
        for node in tree.body:  # what is imported in a function or for types only makes no circle
            if isinstance(node, ast.Import):
                wanted |= {one.name for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{one.name}" for one in node.names}
                wanted |= (inner & modules) or {node.module}
        wanted.discard(name)
    while leaves := [name for name, wanted in graph.items() if not wanted & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert sorted(graph) == []


def test_there_are_five_services() -> None:
    assert {path.parent.name for path in (ROOT / "services").glob("*/__init__.py")} == set(SERVICES)


def test_no_module_is_named_for_what_it_is_not() -> None:
    vague = {"utils", "util", "common", "core", "helpers", "misc"}
    assert [
        named(path) for path in files(*PRODUCT, "tests", suffix=".py") if {path.stem, path.parent.name} & vague
    ] == []


def test_no_module_is_too_long() -> None:
    lengths = {named(path): path.read_text().count("\n") for path in files(*PRODUCT, suffix=".py")}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_every_module_opens_with_what_it_is() -> None:
    assert [path for path, tree in trees(*PRODUCT, "tests") if tree.body and not ast.get_docstring(tree)] == []


def packages(*folders: str) -> Iterator[Path]:
    for path in files(*folders, suffix="__init__.py"):
        yield path.parent


def mapped(package: Path) -> set[str]:
    """The files and folders that a package's docstring names at the beginning of a line: its map."""
    words = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    lines = re.findall(r"^ *((?:\w+(?:\.py|/)(?: +|$))+)", words, re.MULTILINE)
    return {name for line in lines for name in line.split()}


LAYERS = sorted(packages("contracts", "chassis", "services"))
MAPPED = (
    *("chassis", "chassis/web", "chassis/engine", "chassis/kafka", "chassis/store", "contracts"),
    *(f"services/{service}/domain" for service in SERVICES),
)
"""The packages that must have a map; of the others whichever has one."""


@pytest.mark.parametrize("package", sorted({*MAPPED, *(named(one) for one in LAYERS if mapped(one))}))
def test_the_map_of_a_package_has_every_file_and_no_other(package: str) -> None:
    """A folder counts if there is code in it."""
    folder = ROOT / package
    there = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    there |= {f"{path.parent.name}/" for suffix in ("py", "sql") for path in folder.glob(f"*/*.{suffix}")}
    assert mapped(folder) == there


def test_tests_wait_for_conditions_and_never_for_time_to_pass() -> None:
    """`sleep(0)` only lets others run."""
    sleeping = [
        f"{path}:{node.lineno}"
        for path, tree in trees("tests")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] == "sleep"
        and [ast.unparse(argument) for argument in node.args] != ["0"]
    ]
    assert sleeping == []


def test_a_helper_of_the_tests_says_what_it_compared() -> None:
    """As a test does when it fails: pytest has rewritten the assertions of each module below this folder."""
    plain = [
        path
        for path, tree in trees("tests")
        if not Path(path).name.startswith(("test_", "conftest"))
        and any(isinstance(node, ast.Assert) for node in ast.walk(tree))
        and "@pytest_ar" not in vars(import_module(path.removesuffix(".py").replace("/", ".")))
    ]
    assert plain == []


def texts() -> Iterator[tuple[str, str]]:
    for path in files():
        content = path.read_bytes()
        if b"\0" not in content:
            yield named(path), content.decode()


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    pattern = re.compile(r"(?<![\w.])/(?:(?:work|home|root|Users)/\w+|tmp/tmp\w{8})")
    assert [f"{path}: {match[0]}" for path, text in texts() for match in pattern.finditer(text)] == []


def test_no_file_names_a_package_registry() -> None:
    pattern = re.compile(r"(?:pypi\.org|pythonhosted|registry\.npmjs|repo1?\.maven|docker\.io)")
    own = named(Path(__file__))
    assert [f"{path}: {match[0]}" for path, text in texts() if path != own for match in pattern.finditer(text)] == []
