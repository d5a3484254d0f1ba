"""Checks of run.json: place, protocol, keys, data, the plugin's source."""

from collections.abc import Iterator

from benchmark import protocols
from benchmark.data import manifest
from benchmark.plugins import registry, source
from benchmark.records import checksums, keys, store
from benchmark.records.find import WEIGHTS
from benchmark.records.schema import Record
from benchmark.records.verify.badges import VERIFICATION, Extent, Verification, doubt
from benchmark.records.verify.run_files import Fault, Subject

UNCOMMITTED = (WEIGHTS, "private/")
"""Files of a run that may be elsewhere: those that begin so."""

UNSEALED = "it is missing, so that nothing says which files belong to the run"

_SEAL = "bench verify --seal writes it for runs from before it existed that are consistent otherwise"
_RECORD = "run.json"
# PyPI's wheels do not say their build in the version that records of before 22 November 2026 have; the run key has it.
_BUILDS = (
    "",
    "+cpu",
    "+xpu",
    *(f"+cu{number}" for number in range(100, 140)),
    *(f"+rocm{major}.{minor}" for major in range(5, 9) for minor in range(10)),
)


def check_checksums(subject: Subject) -> Iterator[Fault]:
    """Every file is as SHA256SUMS lists it; none is missing but what is not committed; none is unlisted."""
    try:
        listed = checksums.read(subject.path)
    except FileNotFoundError:
        yield Fault(checksums.NAME, UNSEALED, _SEAL)
        return
    except (OSError, ValueError) as error:
        yield Fault(checksums.NAME, f"it cannot be read: {error}")
        return
    there = set(checksums.names(subject.path))
    for name in checksums.differing(subject.path, listed):
        yield Fault(name, f"it is not the file that {checksums.NAME} lists")
    for name in listed:
        if name not in there and not name.startswith(UNCOMMITTED):
            yield Fault(name, f"it is missing; {checksums.NAME} lists it")
    for name in sorted(there - set(listed) - {checksums.NAME, VERIFICATION}):
        yield Fault(name, f"{checksums.NAME} does not list it", "remove it")


def check_files(subject: Subject) -> Iterator[Fault]:
    """The files of a run that ended so, and no counts of one that did not finish."""
    status = subject.record.status
    for name in ("plugin.py", "history.csv", "images.csv", "logits.csv", "predictions.npz"):
        there = (subject.path / name).is_file()
        if there and not subject.expects(name) and name != "history.csv":  # there is one if testing needed the memory
            yield Fault(name, f"the run is '{status}' by its record, and such a run leaves no such file")
        if not there and subject.expects(name):
            yield Fault(name, f"it is missing; a run that is '{status}' has it")
    if (subject.record.message == "") != (status == "finished"):
        yield Fault(_RECORD, f"status is '{status}' and message is '{subject.record.message}'")


def check_place(subject: Subject) -> Iterator[Fault]:
    """The folder is where the record says, and the label is made of name and parameters."""
    found = subject.record
    entry = found.architecture
    label = registry.label(entry.name, entry.parameters)
    if entry.label != label:
        yield Fault(_RECORD, f"the architecture's label is '{entry.label}', name and parameters make '{label}'")
    dataset = found.dataset.label.partition(":")[0]
    expected = store.folder(subject.results, found.protocol.name, dataset, entry.name, found.run_key)
    if subject.path.resolve() != expected.resolve():
        remedy = f"move it to {expected}" if not expected.exists() else f"remove it; the run is {expected}"
        yield Fault(_RECORD, "the folder is not where the record belongs", remedy)


def check_protocol(subject: Subject) -> Iterator[Fault]:
    """The digest is that of the settings; what was changed on the command line is among the settings."""
    stored = subject.record.protocol
    if not 1 <= stored.revision <= protocols.REVISION:
        yield Fault(_RECORD, f"protocol.revision is {stored.revision}, there are 1 to {protocols.REVISION}")
    if subject.settings.digest_at(stored.revision) != stored.digest:
        yield Fault(_RECORD, "protocol.digest is not that of protocol.settings and protocol.revision")
    if subject.record.dataset.label != subject.settings.dataset:
        label = subject.record.dataset.label
        yield Fault(_RECORD, f"dataset.label is '{label}', the protocol's dataset is '{subject.settings.dataset}'")
    for name, value in stored.overrides.items():
        if name not in stored.settings or stored.settings[name] != value:
            yield Fault(_RECORD, f"protocol.overrides says {name} = {value}, protocol.settings does not")
    if stored.revision == protocols.REVISION and stored.name in protocols.names():
        yield from _check_named(subject)


def _check_named(subject: Subject) -> Iterator[Fault]:
    """Protocols are frozen: what differs from the one of that name was changed on the command line."""
    stored = subject.record.protocol
    for name in subject.settings.changes_from(protocols.load(stored.name)):
        if name not in stored.overrides and not (name == "dataset" and _same_plugin(subject, stored.name)):
            yield Fault(
                _RECORD, f"setting {name} is not that of protocol {stored.name}, and protocol.overrides is silent"
            )


def _same_plugin(subject: Subject, name: str) -> bool:
    """Whether the dataset differs from the protocol's in its spelling only; that takes the plugin to know."""
    label, other = subject.settings.dataset, protocols.load(name).dataset
    return label.partition(":")[0] == other.partition(":")[0]


def check_keys(subject: Subject) -> Iterator[Fault]:
    """The comparability key and the run key are made of what the record says."""
    found = subject.record
    table = keys.table(protocol=found.protocol.digest, manifest=found.dataset.manifest)
    if found.comparability_key != table:
        yield Fault(_RECORD, "comparability_key is not that of protocol.digest and dataset.manifest")
    if torch_build(found) is None:
        yield Fault(
            _RECORD,
            "run_key is not that of the label, source hash, weights, seed, device, precision, micro-batch and torch "
            "that stand beside it",
        )


def torch_build(found: Record) -> str | None:
    """The version of torch with its build under which the run key is that of its parts; None if there is none.

    Two things the record may lack. What a network without parameters would have started from: random weights, or
    those that the plugin offers (the record says "no parameters"; plugins without parameters offer none). And, in
    records of before, torch's build: PyPI's are tried.
    """
    version = found.environment.get("torch", "")
    weights = "random" if found.architecture.weights == "no parameters" else found.architecture.weights
    for build in _BUILDS if "+" not in version else ("",):
        made = keys.run(
            table=found.comparability_key,
            architecture=found.architecture.label,
            source=found.architecture.source_hash,
            weights=weights,
            seed=found.seed,
            device=found.device.kind,
            precision=found.device.precision,
            torch=version + build,
            micro_batch=found.device.micro_batch,
        )
        if made == found.run_key:
            return version + build
    return None


def check_data(subject: Subject) -> Iterator[Fault]:
    """Sizes, slices and groups of the data are those of the manifest."""
    counted = manifest.counted(subject.rows)
    stored = subject.record.dataset.model_dump(mode="json", include=set(counted))
    for name, value in counted.items():
        if stored[name] != value:
            yield Fault(_RECORD, f"dataset.{name} is not what the manifest's rows make")


def check_source(subject: Subject) -> Iterator[Fault]:
    """plugin.py is the source that the record names, with the modules beside it."""
    try:
        code = (subject.path / "plugin.py").read_bytes()
        modules = {file.stem: file.read_bytes() for file in sorted((subject.path / store.MODULES).glob("*.py"))}
    except OSError:
        return  # check_files says so
    try:
        same = source.hash_code(code, modules) == subject.record.architecture.source_hash
    except (SyntaxError, ValueError):
        yield Fault("plugin.py", "it is no Python, or a module beside it")
        return
    if not same:
        yield Fault("plugin.py", "its code is not that of architecture.source_hash in run.json")


def check_numbers(subject: Subject) -> Iterator[Fault]:
    """Numbers of the record that cannot be what they are."""
    found = subject.record
    without = found.architecture.parameter_count == 0
    if without != (found.architecture.weights == "no parameters"):
        count = found.architecture.parameter_count
        yield Fault(_RECORD, f"weights are '{found.architecture.weights}' of {count} parameters")
    speeds = (found.inference_images_per_second, found.training.images_per_second, found.peak_memory_bytes)
    if found.architecture.gflops < 0 or any(value is not None and value <= 0 for value in speeds):
        yield Fault(_RECORD, "a cost, a speed or the peak memory is negative")


def check_verification(subject: Subject) -> Iterator[Fault]:
    """What is said of an evaluation of the weights is said of these files, and is good."""
    remedy = f"evaluate the weights again with bench verify --predict {subject.path}, or remove the file"
    try:
        found = Verification.model_validate_json((subject.path / VERIFICATION).read_bytes())
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        yield Fault(VERIFICATION, "it is not a verification of schema 1", remedy)
        return
    if (subject.path / checksums.NAME).is_file() and found.sums != checksums.digest(subject.path / checksums.NAME):
        yield Fault(VERIFICATION, f"it is of other files than {checksums.NAME} lists", remedy)
    elif wrong := doubt(found, Extent.of(subject.images), subject.settings.image_size):
        yield Fault(VERIFICATION, wrong, remedy)
