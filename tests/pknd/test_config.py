"""Settings: what they may be, what holds without one, and how the file is kept."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pkn_protocol.search.rank import DEFAULT_WEIGHTS
from pknd.config import SETTINGS, BadConfig, Config, Listen, build, read_file
from pknd.config_file import ConfigFile
from pknd.errors import DomainError
from pknd.sizes import format_size, parse_size


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    config = ConfigFile(tmp_path / "config.toml", {}).config
    assert config == build({})
    assert (config.listen, config.mdns, config.default_audience) == (Listen(None, 7867), True, "trusted")


def test_every_example_is_a_file_that_works(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("\n".join(rule.example for rule in SETTINGS.values()))
    assert ConfigFile(path, {}).config == Config(
        name="Ada",
        listen=Listen("127.0.0.1", 7867),
        mdns=False,
        default_audience="public",
        lang="de",
        max_disk=10 * 2**30,
        rank_distance_2=0.9,
        rank_distance_3=0.8,
        rank_stranger=0.6,
        rank_claim=0.001,
        rank_in_vain=0.5,
        rank_crowd=8.0,
        rank_ratings=0.2,
        rank_age=0.1,
        rank_half_life=365.0,
        log_level=build({"log_level": "debug"}).log_level,
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'defualt_audience = "public"', "did you mean default_audience?"),
        (b"colour = 1", "settings are name, listen"),
        (b"mdns = 'perhaps'", "mdns cannot be 'perhaps'; it may be true or false"),
        (b"max_disk = '10 parsec'", "a size of at least 16 MiB"),
        (b"max_disk = 5", "a size of at least 16 MiB"),
        (b"max_disk = 1.5", "a size of at least 16 MiB"),
        (b"name = ['a']", "wrong type"),
        (b"listen = 7867", "HOST:PORT"),
        (b"mdns = ", "is not TOML"),
        (b"\xff", "is not TOML"),
        (b"# " + b"x" * 70_000, "longer than"),
    ],
)
def test_a_file_that_is_wrong_says_where_and_what_to_do(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(BadConfig) as caught:
        read_file(path)
    assert str(path) in caught.value.message
    assert said in caught.value.line()
    assert "\n" not in caught.value.line()


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("*:0", Listen(None, 0)),
        (":7867", Listen(None, 7867)),
        ("localhost:1", Listen("127.0.0.1", 1)),
        ("Localhost:7867", Listen("127.0.0.1", 7867)),
        ("192.0.2.1:65535", Listen("192.0.2.1", 65_535)),
        ("[::1]:7867", Listen("::1", 7867)),
    ],
)
def test_addresses_to_listen_on(text: str, listen: Listen) -> None:
    assert build({"listen": text}).listen == listen
    assert build({"listen": str(listen)}).listen == listen


@pytest.mark.parametrize(
    "text",
    ["", "7867", "host:1", "localhost", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "::1:1", "[::1:1", "a:²"],
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(DomainError) as caught:
        build({"listen": text})
    assert caught.value.code == "bad-value"


@pytest.mark.parametrize("name", ["", "  ", "a\x1b[31m", "a\u202eb", "x" * 513])
def test_names_that_could_deceive_are_refused(name: str) -> None:
    with pytest.raises(DomainError):
        build({"name": name})


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10 GiB", 10 * 2**30),
        ("500MB", 500 * 10**6),
        ("1.5 TiB", 3 * 2**39),
        ("20000000", 20_000_000),
        ("0.1kb", 100),
    ],
)
def test_sizes_with_units(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1 GiB", "1 GiB 2", "1e9", "1.2345 GiB", "٣ GiB"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


def test_the_ceiling_is_a_tenth_of_the_volume_within_bounds(tmp_path: Path) -> None:
    assert 2 * 2**30 <= build({}).disk_ceiling(tmp_path) <= 20 * 2**30
    assert build({"max_disk": "16 MiB"}).disk_ceiling(tmp_path) == 16 * 2**20


async def test_a_change_is_on_disk_told_and_keeps_the_comments(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('# mine\nlang = "de"  # at home\n')
    settings = ConfigFile(path, {})
    heard: list[Config] = []

    async def hear(config: Config) -> None:
        heard.append(config)

    settings.on_change = hear
    await settings.set("max_disk", "3gib")
    await settings.set("mdns", "off")
    await settings.set("lang", "fr")
    await settings.unset("mdns")
    assert path.read_text() == '# mine\nlang = "fr"  # at home\nmax_disk = "3 GiB"\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [(config.mdns, config.lang) for config in heard] == [
        (True, "de"), (False, "de"), (False, "fr"), (True, "fr"),
    ]  # fmt: skip
    assert ConfigFile(path, {}).config == settings.config == heard[-1]


async def test_the_command_line_counts_above_the_file_until_it_is_set_anew(tmp_path: Path) -> None:
    settings = ConfigFile(tmp_path / "config.toml", {"name": "Bea"})
    assert (await settings.setting("name")).source == "command-line"
    changed = await settings.set("name", "Cleo")
    assert (changed.value, changed.source) == ("Cleo", "file")


async def test_a_file_that_was_spoilt_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    settings = ConfigFile(path, {})
    path.write_text("half a li")
    with pytest.raises(BadConfig):
        await settings.set("lang", "de")
    assert path.read_text() == "half a li"
    assert settings.config.lang == "en"


async def test_weights_of_the_rank_are_numbers_that_are_kept_as_such(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    config = ConfigFile(path, {})
    assert config.config.rank_weights == DEFAULT_WEIGHTS
    shown = await config.set("rank_stranger", "0.25")
    assert (shown.value, shown.default) == ("0.25", "0.6")
    assert path.read_text() == "rank_stranger = 0.25\n"
    path.write_text("rank_stranger = 0.5\nrank_half_life = 30\n")
    weights = ConfigFile(path, {}).config.rank_weights
    assert (weights.distance[None], weights.half_life_days) == (0.5, 30.0)
    for value in ("0", "1.5", "-1", "nan", "inf", "much"):
        with pytest.raises(DomainError, match="rank_stranger cannot be"):
            await config.set("rank_stranger", value)
