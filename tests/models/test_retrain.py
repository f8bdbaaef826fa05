import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.utils import set_determinism

from models.bundles import contents, public_key
from models.networks import build
from models.runtime import load
from models.training import checkpoint
from models.training.augment import view
from models.training.checkpoint import Checkpoint
from models.training.fit import course, members
from models.training.material import HEAVIEST, counts, material, read
from models.training.member import Draws, Lesson, Pupil
from models.training.order import unpack
from models.training.recipes import CHEST
from models.training.retrain import Step, read_parent, retrain
from models.training.team import Team
from radloop.domain.errors import IntegrityError, Rejected
from tests.keys import STRANGER
from tests.models import training_material
from tests.models.training_material import PUBLIC, Bench

ROOT = Path(__file__).parents[2]
SECONDS = 200


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return training_material.bench(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def undisturbed(bench: Bench) -> Path:
    """What comes out where nobody disturbs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    made = in_here(bench, bench.folder / "undisturbed", [])
    torch.set_num_threads(before)
    return made


def command(bench: Bench, folder: Path) -> list[str]:
    return [sys.executable, "-m", "models.training.worker", *bench.arguments, "--folder", str(folder)]


def killed_after(bench: Bench, folder: Path, steps: int) -> None:
    """Start a training, and kill -9 it as soon as it has told so many steps."""
    process = subprocess.Popen(command(bench, folder), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    watchdog = threading.Timer(SECONDS, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(steps)]
        assert all("step" in json.loads(line) for line in told)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        watchdog.cancel()
    assert process.returncode == -9


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def in_here(bench: Bench, folder: Path, told: list[Step]) -> Path:
    """The same training in this process."""
    torch.set_flush_denormal(True)
    set_determinism(bench.order.seed)
    parent = read_parent(bench.parent, PUBLIC, bench.order.recipe) if bench.parent else None
    made = retrain(bench.order, bench.images, parent, folder, told.append)
    assert made is not None
    return made


@pytest.mark.campaign
@pytest.mark.parametrize("steps", range(1, 8))
@pytest.mark.timeout(240)
def test_a_training_that_is_killed_ends_with_the_bytes_of_one_that_nobody_disturbed(
    bench: Bench, undisturbed: Path, steps: int
) -> None:
    folder = bench.folder / f"killed-{steps}"
    killed_after(bench, folder, steps)
    told: list[Step] = []
    assert files(in_here(bench, folder, told)) == files(undisturbed)
    assert len(told) <= 1 + 6 - (steps - 1), "the epochs that were kept were not trained again"


def test_a_finished_training_trains_nothing_again_and_gives_the_same_bytes(bench: Bench, undisturbed: Path) -> None:
    told: list[Step] = []
    assert files(in_here(bench, undisturbed.parent, told)) == files(undisturbed)
    assert [step.member for step in told] == [1]


def test_the_bundle_loads_and_says_what_it_was_made_of(bench: Bench, undisturbed: Path) -> None:
    model = load(undisturbed)
    assert model.spec.version == "1.1.0"
    said = json.loads((undisturbed / "docs" / "metrics.json").read_text())
    assert said["cohort"] == bench.order.cohort
    assert said["parent"] == bench.order.parent
    assert said["data"]["train_images"] == training_material.LEARNED
    assert said["origin"]["train"] == {"phantoms": training_material.LEARNED}
    assert said["operating"]["threshold"] == model.spec.targets[0].threshold
    assert set(said["validation"]) == {"auc", "sensitivity", "specificity", "brier", "ece", "auc_of_parent"}
    assert bench.order.cohort in (undisturbed / "docs" / "card.md").read_text()
    record = json.loads((undisturbed.parent / "record.json").read_text())
    assert [(one["member"], one["epoch"]) for one in record["epochs"]] == [(m, e) for m in (1, 2, 3) for e in (1, 2)]


def test_threshold_and_calibration_depend_on_the_held_back_images_and_the_weights_do_not(
    bench: Bench, undisturbed: Path, tmp_path: Path
) -> None:
    turned = replace(bench.images.held, labels=1 - bench.images.held.labels)
    other = replace(bench, images=replace(bench.images, held=turned))
    folder = tmp_path / "turned"
    folder.mkdir()
    for path in undisturbed.parent.glob("member-*.safetensors"):
        (folder / path.name).write_bytes(path.read_bytes())
    made = in_here(other, folder, [])
    assert contents(made)["models/model.safetensors"] == contents(undisturbed)["models/model.safetensors"]
    assert load(made).spec.calibration != load(undisturbed).spec.calibration


def test_training_from_a_parent_begins_with_its_weights(bench: Bench) -> None:
    assert bench.parent is not None
    parent = read_parent(bench.parent, PUBLIC, bench.order.recipe)
    assert parent.digest == bench.order.parent
    slow = replace(bench.order, plan=replace(bench.order.plan, epochs=1, rate=1e-9))
    folder = bench.folder / "slow"
    made = in_here(replace(bench, order=slow), folder, [])
    ours = load(made).network.members[1].state_dict()
    for name, tensor in parent.network.members[1].state_dict().items():
        if name.endswith("weight"):
            torch.testing.assert_close(ours[name], tensor, atol=2e-3, rtol=1e-2)


def test_training_without_a_parent_begins_with_random_weights_and_the_recipes_phantoms(tmp_path: Path) -> None:
    scratch = training_material.bench(tmp_path, epochs=1, scratch=True)
    made = in_here(scratch, tmp_path / "run", [])
    assert "random weights" in json.loads((made / "configs" / "metadata.json").read_text())["changelog"]["1.1.0"]


def test_a_parent_that_was_tampered_with_or_that_another_key_signed_is_refused(bench: Bench, tmp_path: Path) -> None:
    assert bench.parent is not None
    with pytest.raises(IntegrityError, match="not signed by this site's key"):
        read_parent(bench.parent, public_key(STRANGER), bench.order.recipe)
    copy = tmp_path / "copy"
    for name, data in files(bench.parent).items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if name.endswith("model.safetensors") else data)
    with pytest.raises(IntegrityError):
        read_parent(copy, PUBLIC, bench.order.recipe)


def test_a_champion_of_another_architecture_is_refused(bench: Bench) -> None:
    assert bench.parent is not None
    with pytest.raises(Rejected, match="from scratch"):
        read_parent(bench.parent, PUBLIC, replace(bench.order.recipe, width=8))


@pytest.mark.parametrize("sees", [{"input_size": 64}, {"window": (40.0, 80.0)}], ids=["size", "window"])
def test_a_champion_that_sees_other_pixels_is_refused(bench: Bench, sees: dict[str, Any]) -> None:
    assert bench.parent is not None
    with pytest.raises(Rejected, match="another size or window"):
        read_parent(bench.parent, PUBLIC, replace(bench.order.recipe, **sees))


def test_a_worker_that_refuses_says_why_and_trains_nothing(bench: Bench, tmp_path: Path) -> None:
    other = tmp_path / "order.json"
    other.write_bytes(replace(bench.order, parent="d" * 64).pack())
    argv = [*command(bench, tmp_path / "run"), "--order", str(other)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 3
    assert "not the one that was ordered" in json.loads(done.stdout)["why"]
    assert not list(tmp_path.glob("run/member-*"))


@pytest.mark.campaign
@pytest.mark.timeout(400)
def test_two_processes_give_the_same_bytes_every_time(tmp_path: Path) -> None:
    two = training_material.bench(tmp_path, epochs=1, processes=2)
    launch = [sys.executable, "-m", "models.training.launch", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    made = []
    for name in ("first", "again"):
        argv = [*launch, "--rdzv-endpoint", "127.0.0.1:0", "--", *two.arguments, "--folder", str(tmp_path / name)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 4, "one process tells, not both"
        made.append(files(tmp_path / name / "bundle"))
    assert made[0] == made[1]


def test_shares_of_a_batch_together_weigh_as_the_whole() -> None:
    rows = torch.arange(17)
    teams = [Team(rank, 3, torch.device("cpu")) for rank in range(3)]
    shares = [team.share(rows) for team in teams]
    assert torch.equal(torch.cat(shares), rows)
    values = torch.rand(17)
    means = [team.weight(len(share), 17) * values[share].mean() for team, share in zip(teams, shares, strict=True)]
    torch.testing.assert_close(torch.stack(means).mean(), values.mean())


def test_restoring_a_pupil_after_every_epoch_changes_no_bit() -> None:
    images = torch.rand(24, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    lesson = Lesson(images, (torch.arange(24) % 2).float(), torch.rand(24, generator=torch.Generator().manual_seed(2)))
    recipe = replace(CHEST, members=1, width=8, input_size=48, schedule=replace(CHEST.schedule, epochs=3, batch=8))

    def pupil() -> Pupil:
        torch.manual_seed(0)
        member = members(recipe, (1.0, 1.0))[1]
        return Pupil(build(member.network, member.arguments), lesson, course(recipe))

    def epoch(one: Pupil, number: int) -> None:
        torch.manual_seed(number)
        one.epoch(number, Draws(torch.Generator().manual_seed(number), torch.Generator().manual_seed(-number)))

    straight = pupil()
    kept: dict[str, torch.Tensor] | None = None
    for number in range(3):
        epoch(straight, number)
        broken = pupil()
        if kept is not None:
            broken.restore(kept)
        epoch(broken, number)
        kept = {name: tensor.clone().contiguous() for name, tensor in broken.tensors().items()}
    for name, tensor in straight.state().items():
        assert torch.equal(tensor, broken.state()[name]), name


def test_a_rare_draw_counts_for_more_up_to_a_bound() -> None:
    found = counts(np.array([1.0, 1.0, 0.5, 0.001]))
    assert found.mean() == pytest.approx(1)
    assert found[2] == pytest.approx(2 * found[0])
    assert found[3] == pytest.approx(HEAVIEST * found[0])
    np.testing.assert_array_equal(counts(np.full(4, 0.3)), np.ones(4, np.float32))


def test_material_comes_back_as_it_was_and_names_nobody(bench: Bench) -> None:
    path = bench.folder / "material.safetensors"
    found = read(str(path))
    np.testing.assert_array_equal(found.train.images, bench.images.train.images)
    np.testing.assert_array_equal(found.held.groups, np.arange(training_material.IMAGES - training_material.LEARNED))
    assert b"p33" not in path.read_bytes()[:4096]


def test_a_split_with_one_label_only_is_rejected() -> None:
    found = training_material.phantom_material()
    positive = found.train.labels > 0.5

    class OneLabel:
        large = small = found.train.images[positive]
        labels = found.train.labels[positive]
        groups = np.array(["a"] * int(positive.sum()))

        def __len__(self) -> int:
            return len(self.labels)

    ones = np.ones(int(positive.sum()))
    with pytest.raises(Rejected, match="training split"):
        material(OneLabel(), ones, OneLabel(), ones)  # type: ignore[arg-type]


def test_orders_survive_a_file_and_name_their_work(bench: Bench) -> None:
    again = unpack(bench.order.pack())
    assert again == bench.order
    assert again.key == bench.order.key
    assert replace(again, seed=6).key != again.key
    with pytest.raises(IntegrityError):
        unpack(b"{}")


def test_a_checkpoint_that_is_damaged_or_another_works_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    assert checkpoint.read(path, "key") is None
    checkpoint.write(path, "key", Checkpoint({"a": torch.arange(4.0)}, {"epochs": [[1, 2, 0.5, 0.25]]}))
    found = checkpoint.read(path, "key")
    assert found is not None
    assert torch.equal(found.tensors["a"], torch.arange(4.0))
    assert found.words == {"epochs": [[1, 2, 0.5, 0.25]]}
    assert checkpoint.read(path, "other") is None
    path.write_bytes(path.read_bytes()[:-3])
    assert checkpoint.read(path, "key") is None
    assert [one.name for one in tmp_path.iterdir()] == ["one.safetensors"]


def test_views_of_images_are_drawn_from_their_generator_alone() -> None:
    batch = torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(3))
    one, two = (view(batch, 48, CHEST.strength, torch.Generator().manual_seed(9)) for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == (4, 1, 48, 48)
