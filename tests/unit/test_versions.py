"""Versions are named after commits: of tags, of what comes after them, of archives, and of changes."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest
from packaging.version import Version

from flexmeasures import _version

ROOT = Path(__file__).parents[2]


def git(folder, *words):
    """Run git in a folder, as somebody whose clock stands at 2026-01-31 12:30 UTC."""
    date = "2026-01-31T12:30:00Z"
    options = {
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_DATE": date,
        "HOME": str(folder),
        "PATH": "/usr/bin:/bin",
    }
    who = ("-c", "user.name=tester", "-c", "user.email=tester@example.com", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", *who, *words], cwd=folder, env=options, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A small checkout with one commit."""
    (tmp_path / "src/flexmeasures").mkdir(parents=True)
    for name in (".git_archival.txt", ".gitattributes", "pyproject.toml", "src/flexmeasures/_version.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    return tmp_path


@pytest.fixture
def version_of(monkeypatch):
    """Name the version of a build of the source in a folder."""

    def find(folder):
        spec = importlib.util.spec_from_file_location("build_script", ROOT / "setup.py")
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        monkeypatch.setattr(script, "ROOT", folder)
        version = script.find_version()
        assert str(Version(version)) == version
        return version

    return find


def test_without_a_tag_versions_come_after_the_base(checkout, version_of):
    """A commit is a post-release of 0.4.0 with its time and hash."""
    commit = git(checkout, "rev-parse", "HEAD")
    assert version_of(checkout) == f"0.4.0.post20260131123000+g{commit[:8]}"


def test_a_tag_is_a_version(checkout, version_of):
    """The commit of a tag has its version; the next commit comes after it, and before the next tag."""
    git(checkout, "tag", "v0.5.0")
    assert version_of(checkout) == "0.5.0"
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "second")
    assert Version("0.5.0") < Version(version_of(checkout)) < Version("0.5.1")


def test_changes_change_the_version(checkout, version_of):
    """Two builds from one commit with other changes have other versions, also at a tag."""
    git(checkout, "tag", "v0.5.0")
    versions = {version_of(checkout)}
    for text in ("a = 1", "a = 2"):
        (checkout / "src/flexmeasures/new.py").write_text(text)
        versions.add(version_of(checkout))
    (checkout / "pyproject.toml").write_text("")
    versions.add(version_of(checkout))
    assert len(versions) == 4


def test_an_archive_of_git_has_the_version_of_its_commit(checkout, version_of, tmp_path_factory):
    """What `git archive` wrote is named like the commit, with no git around it."""
    folder = tmp_path_factory.mktemp("archive")
    git(checkout, "archive", "--output", str(folder / "source.tar"), "HEAD")
    subprocess.run(["tar", "-xf", "source.tar"], cwd=folder, check=True)
    assert version_of(folder) == version_of(checkout)


def test_a_copy_without_git_is_named_by_its_files(checkout, version_of):
    """Where nothing tells the commit, other files make another version."""
    subprocess.run(["rm", "-rf", ".git"], cwd=checkout, check=True)
    first = version_of(checkout)
    assert re.fullmatch(r"0\.4\.0\+src\.[0-9a-f]{8}", first)
    (checkout / "src/flexmeasures/new.py").write_text("a = 1")
    assert version_of(checkout) != first


def test_a_source_distribution_keeps_its_version(checkout, version_of):
    """A source distribution says its version, whatever is around it."""
    (checkout / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: flexmeasures\nVersion: 0.6.0\n")
    assert version_of(checkout) == "0.6.0"


@pytest.mark.parametrize("packed", [False, True])
def test_a_checkout_knows_its_commit(checkout, packed):
    """Without a build, the commit is read from git's files: on a branch, packed or not, detached, and in a worktree."""
    commit = git(checkout, "rev-parse", "HEAD")
    if packed:
        git(checkout, "pack-refs", "--all")
    git(checkout, "worktree", "add", "--quiet", "-b", "other", "elsewhere")
    assert _version._commit(str(checkout)) == commit
    assert _version._commit(str(checkout / "elsewhere")) == commit
    git(checkout, "checkout", "--quiet", "--detach")
    assert _version._commit(str(checkout)) == commit
    assert _version._commit(str(checkout / "src")) is None
