"""Access as a page and over REST: who may come in, and that nobody locks everybody out."""

import pytest

from radloop.domain.access import GRANTS, Permission, Role
from radloop.domain.enums import ActorKind
from radloop.ledger import actors, tokens
from tests.flows.readings import OTHER, READER
from tests.serving.console.conftest import Console, person_of
from tests.serving.console.test_access import rows

ADMIN = person_of(Role.ADMIN)


def id_of(console: Console, name: str) -> str:
    with console.house.ledger.read() as conn:
        found = actors.by_name(conn, name)
    assert found is not None
    return found.id


def test_the_pages_say_who_may_come_in_and_never_a_secret(console: Console) -> None:
    with console.browser(Role.ADMIN, name=ADMIN) as browser:
        page = browser.get("/access")
        assert page.status_code == 200
        for said in (READER, "ris-robot", "break-glass", "127.0.0.1", "(you)", "view studies"):
            assert said in page.text.lower() or said in page.text, said
        one = browser.get(f"/access/actors/{id_of(console, 'ris-robot')}")
        assert "view studies" in one.text
        assert "Every role from now on" not in one.text
        myself = browser.get(f"/access/actors/{id_of(console, ADMIN)}").text
        assert "Every role from now on" in myself
        assert "/disable" not in myself
        assert browser.get("/access/actors/ac_0").status_code == 404
        for text in (page.text, one.text, browser.get("/api/v1/tokens").text):
            assert not any(secret in text or tokens.digest(secret) in text for secret in console.tokens.values())
        assert [one["name"] for one in browser.get("/api/v1/actors?text=DR.").json()] == [OTHER, READER]
        assert browser.get("/api/v1/actors?text=dr.&after=dr.no").json()[0]["name"] == READER
        assert browser.get("/access?text=%00").status_code == 422


def test_who_is_disabled_is_out_at_once_and_on_record(console: Console) -> None:
    address = f"/api/v1/actors/{id_of(console, READER)}"
    admin = console.as_role(Role.ADMIN)
    with console.browser(Role.READER) as reader:
        assert reader.get("/api/v1/me").status_code == 200
        answer = console.http.post(f"{address}/disable", headers=admin)
        assert (answer.status_code, answer.json()["ended"]) == (200, 1)
        assert reader.get("/api/v1/me").status_code == 401
    assert console.http.get("/api/v1/me", headers=console.as_actor()).status_code == 401
    assert console.http.post(f"{address}/tokens", headers=admin, json={"name": "x"}).status_code == 422
    assert console.http.post(f"{address}/enable", headers=admin).json()["actor"]["disabled_at"] is None
    assert console.http.get("/api/v1/me", headers=console.as_actor()).status_code == 200
    assert [(row.actor, row.role) for row in rows(console, "actor.disable")] == [(ADMIN, "ADMIN")]
    assert len(rows(console, "actor.enable")) == 1


def test_new_roles_hold_at_once(console: Console) -> None:
    answer = console.http.post(
        f"/api/v1/actors/{id_of(console, READER)}/roles",
        headers=console.as_role(Role.ADMIN),
        json={"roles": ["IT", "READER"]},
    )
    assert answer.json()["actor"]["roles"] == ["IT", "READER"]
    assert "OPERATE" in console.http.get("/api/v1/me", headers=console.as_actor()).json()["permissions"]
    (row,) = rows(console, "actor.roles")
    assert row.detail == "READER -> IT, READER"
    machine = f"/api/v1/actors/{id_of(console, 'ris-robot')}/roles"
    refused = console.http.post(machine, headers=console.as_role(Role.ADMIN), json={"roles": ["IT"]})
    assert refused.status_code == 422


@pytest.mark.parametrize(("what", "said"), [("disable", None), ("roles", {"roles": ["READER"]})])
def test_nobody_shuts_themselves_out(console: Console, what: str, said: object) -> None:
    address = f"/api/v1/actors/{id_of(console, ADMIN)}/{what}"
    refused = console.http.post(address, headers=console.as_role(Role.ADMIN), json=said)
    assert (refused.status_code, refused.json()["code"]) == (409, "lockout")
    assert "themselves" in refused.json()["error"]
    assert "ADMINISTER" in console.http.get("/api/v1/me", headers=console.as_role(Role.ADMIN)).json()["permissions"]
    assert not rows(console, f"actor.{what}")


def test_more_roles_for_oneself_are_no_lockout(console: Console) -> None:
    address = f"/api/v1/actors/{id_of(console, ADMIN)}/roles"
    answer = console.http.post(address, headers=console.as_role(Role.ADMIN), json={"roles": ["ADMIN", "READER"]})
    assert answer.status_code == 200


def test_a_token_is_shown_once_opens_what_it_may_and_ends(console: Console) -> None:
    admin = console.as_role(Role.ADMIN)
    address = f"/api/v1/actors/{id_of(console, READER)}/tokens"
    said = {"name": "viewer plug-in", "scopes": ["VIEW_STUDIES"], "days": 30}
    made = console.http.post(address, headers=admin, json=said)
    assert made.status_code == 201
    secret = made.json()["token"]
    me = console.http.get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"})
    assert (me.json()["name"], me.json()["permissions"]) == (READER, ["VIEW_STUDIES"])
    (listed,) = [one for one in console.http.get("/api/v1/tokens", headers=admin).json() if one["name"] == said["name"]]
    assert secret not in str(listed)
    assert listed["expires_at"]
    assert listed["used_at"]
    ended = f"/api/v1/tokens/{made.json()['id']}/end"
    assert console.http.post(ended, headers=admin).status_code == 200
    assert console.http.post(ended, headers=admin).status_code == 404
    assert console.http.get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"}).status_code == 401
    assert len(rows(console, "token.end")) == 1
    (row,) = rows(console, "token.issue")
    assert secret not in str(row)


def test_a_token_gives_no_more_than_its_owner_has(console: Console) -> None:
    beyond = next(one for one in Permission if one not in GRANTS[Role.READER])
    address = f"/api/v1/actors/{id_of(console, READER)}/tokens"
    admin = console.as_role(Role.ADMIN)
    assert console.http.post(address, headers=admin, json={"name": "x", "scopes": [beyond]}).status_code == 422
    for wrong in ({"name": "x", "days": 0}, {"name": "x", "days": 10**9}, {"name": " "}, {"name": "x", "more": 1}):
        assert console.http.post(address, headers=admin, json=wrong).status_code == 422, wrong
    machine = f"/api/v1/actors/{id_of(console, 'ris-robot')}/tokens"
    assert console.http.post(machine, headers=admin, json={"name": "x"}).status_code == 422


def test_a_list_of_many_goes_on_by_pages(console: Console) -> None:
    with console.house.ledger.write() as conn:
        for number in range(205):
            actors.ensure(conn, f"person-{number:03}", ActorKind.PERSON)
    with console.browser(Role.ADMIN, name=ADMIN) as browser:
        first = browser.get("/access?text=person-").text
        assert "person-199" in first
        assert "person-200" not in first
        assert "after=person-199" in first
        assert "person-204" in browser.get("/access?text=person-&after=person-199").text
