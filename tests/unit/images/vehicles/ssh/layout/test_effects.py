"""Which service a changed file disturbs."""

from __future__ import annotations

from images.bundle import Bundle, File, HttpCheck, Service, Source
from images.vehicles.ssh.layout.effects import effects, mentions, used_by


def service(name: str, *command: str, **changes: object) -> Service:
    return Service(name=name, command=command or ("x",), **changes)  # type: ignore[arg-type]


def test_a_service_uses_the_files_it_names_and_those_that_they_name() -> None:
    bundle = Bundle(
        role="r",
        files=(File("a.conf", "include @ROOT@/more/b.conf"), File("more/b.conf", ""), File("c.conf", "")),
        services=(service("one", "@ROOT@/a.conf"), service("two", "--config=@ROOT@/c.conf")),
    )
    found = effects(bundle)
    assert found["a.conf"] == found["more/b.conf"] == {"one": "restart"}
    assert found["c.conf"] == {"two": "restart"}


def test_what_a_service_uses_of_files_and_secrets_is_what_it_names_and_what_that_names() -> None:
    bundle = Bundle(
        role="r",
        files=(File("a.conf", "include @ROOT@/b.conf"), File("b.conf", "@SECRET:key@"), File("c.conf", "")),
        sources=(Source("lib/m/a.py", "s", "0"),),
        services=(one := service("one", "@ROOT@/a.conf", "@ROOT@/lib", "@ROOT@/data", secret_environment={"A": "b"}),),
        secrets=("key", "b", "other"),
        directories=("data",),
    )
    assert used_by(one, bundle) == ["a.conf", "b.conf", "lib", "secrets/b", "secrets/key"]


def test_a_folder_stands_for_all_in_it_and_not_for_its_namesakes() -> None:
    bundle = Bundle(
        role="r",
        sources=(Source("lib/m/a.py", "s", "0"), Source("library/b.py", "s", "0")),
        services=(service("one", environment={"PYTHONPATH": "@ROOT@/lib"}), service("two", "@ROOT@/library/b.py")),
    )
    assert effects(bundle) == {"lib/m/a.py": {"one": "restart"}, "library/b.py": {"two": "restart"}}


def test_files_named_for_reload_ask_for_the_signal() -> None:
    two = service("two", "@ROOT@/a.conf", reload_signal="HUP", reload_files=("a.conf", "rules/x.yaml"))
    bundle = Bundle(
        role="r",
        files=(File("a.conf", "rules: rules/*.yaml"), File("rules/x.yaml", "")),
        services=(service("one", "@ROOT@/a.conf"), two),
    )
    assert effects(bundle) == {"a.conf": {"one": "restart", "two": "reload"}, "rules/x.yaml": {"two": "reload"}}


def test_a_file_that_nothing_names_restarts_all() -> None:
    bundle = Bundle(role="r", files=(File("x", ""),), services=(service("one"), service("two")))
    assert effects(bundle)["x"] == {"one": "restart", "two": "restart"}


def test_a_file_that_only_a_check_names_and_a_secret_that_nothing_names_disturb_none() -> None:
    bundle = Bundle(
        role="r",
        files=(File("ca.pem", ""),),
        services=(service("one"),),
        checks=(HttpCheck("c", "p", "/", tls_ca="@ROOT@/ca.pem"),),
        secrets=("key",),
    )
    assert effects(bundle) == {"ca.pem": {}, "secrets/key": {}}


def test_secrets_count_by_token_by_variable_and_by_a_file_that_names_them() -> None:
    bundle = Bundle(
        role="r",
        files=(File("a.conf", "cert @SECRET:tls.key@"),),
        services=(
            service("one", "@SECRET:a@"),
            service("two", secret_environment={"B": "b"}),
            service("three", "@ROOT@/a.conf", reload_signal="HUP", reload_files=("secrets/tls.key",)),
        ),
        secrets=("a", "b", "tls.key"),
    )
    found = effects(bundle)
    assert found["secrets/a"] == {"one": "restart"}
    assert found["secrets/b"] == {"two": "restart"}
    assert found["secrets/tls.key"] == {"three": "reload"}


def test_a_pattern_names_its_folder() -> None:
    assert mentions("@ROOT@/rules/*.yaml and @ROOT@/x/pre* and @ROOT@") == {"rules", "x"}
