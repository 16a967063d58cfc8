"""Who may do what: the tables of the specification, relation by relation."""

import pytest

from flexmeasures.domain.rights import (
    ACCOUNT_RULES,
    OWNER_RULES,
    PLATFORM_ROLES,
    UPLOAD_RULES,
    Action,
    Actor,
    Kind,
    Relation,
    Thing,
    may,
    relations,
)

OURS, CLIENT, OTHER = 1, 2, 3
ME, COLLEAGUE, STRANGER = 10, 11, 12

ACTORS = {
    "member": Actor(ME, OURS),
    "account-admin": Actor(ME, OURS, frozenset({"account-admin"})),
    "consultant": Actor(ME, OURS, frozenset({"consultant"}), frozenset({"Consultancy"}), frozenset({CLIENT})),
    "admin": Actor(ME, OURS, frozenset({"admin"})),
    "admin-reader": Actor(ME, OURS, frozenset({"admin-reader"})),
    "anonymous": Actor(ME, OURS, frozenset({"anonymous", "admin"})),
    "account called admin": Actor(ME, OURS, frozenset(), frozenset({"admin", "account-admin", "consultant"})),
    "client's member without the role": Actor(ME, OURS, frozenset(), frozenset(), frozenset({CLIENT})),
}

# r, c, u, d: read, create-children, update, delete; each as a letter where it is allowed.
LETTERS = {"r": Action.READ, "c": Action.CREATE_CHILDREN, "u": Action.UPDATE, "d": Action.DELETE}

# Actor, whose thing it is, and what is allowed with an account, a user, an asset and a sensor.
BY_ACCOUNT = [
    ("member", OURS, "rcu", "r", "rcu", "rc"),
    ("member", CLIENT, "", "", "", ""),
    ("member", OTHER, "", "", "", ""),
    ("member", None, None, None, "r", "r"),
    ("account-admin", OURS, "rcu", "ru", "rcud", "rcud"),
    ("account-admin", OTHER, "", "", "", ""),
    ("account-admin", None, None, None, "r", "r"),
    ("consultant", OURS, "rcu", "r", "rcu", "rc"),
    ("consultant", CLIENT, "rcu", "ru", "rcud", "rcud"),
    ("consultant", OTHER, "", "", "", ""),
    ("consultant", None, None, None, "r", "r"),
    ("admin", OTHER, "rcu", "ru", "rcud", "rcud"),
    ("admin", None, None, None, "rcud", "rcud"),
    ("admin-reader", OTHER, "r", "r", "r", "r"),
    ("admin-reader", None, None, None, "r", "r"),
    ("anonymous", OURS, "", "", "", ""),
    ("anonymous", None, None, None, "", ""),
    ("account called admin", OURS, "rcu", "r", "rcu", "rc"),
    ("account called admin", OTHER, "", "", "", ""),
    ("client's member without the role", CLIENT, "", "", "", ""),
]


@pytest.mark.parametrize(("who", "whose", "account", "user", "asset", "sensor"), BY_ACCOUNT)
def test_things_of_accounts(who, whose, account, user, asset, sensor):
    """The table of accounts and roles: members act, admins of the account and consultants lead, public is read."""
    expected = {Kind.ACCOUNT: account, Kind.USER: user, Kind.ASSET: asset, Kind.SENSOR: sensor}
    for kind, letters in expected.items():
        if letters is not None:
            thing = Thing(kind, whose, owner_id=COLLEAGUE)
            found = "".join(k for k, action in LETTERS.items() if may(ACTORS[who], action, thing))
            assert found == letters, kind


@pytest.mark.parametrize(
    ("who", "allowed"),
    [("member", ""), ("account-admin", ""), ("consultant", "c"), ("admin", "rc"), ("admin-reader", "r")],
)
def test_new_accounts(who, allowed):
    """Accounts are opened by admins, and by consultants of a consultancy."""
    platform = Thing(Kind.PLATFORM)
    assert "".join(k for k, action in LETTERS.items() if may(ACTORS[who], action, platform)) == allowed
    plain = Actor(ME, OURS, frozenset({"consultant"}), frozenset(), frozenset({CLIENT}))
    assert not may(plain, Action.CREATE_CHILDREN, platform)


def test_everybody_reads_and_changes_themselves():
    """A user is read by the account and changed by the user; others of the account only read."""
    me = Thing(Kind.USER, OURS, owner_id=ME)
    assert may(ACTORS["member"], Action.UPDATE, me)
    assert not may(ACTORS["member"], Action.DELETE, me)
    assert may(ACTORS["member"], Action.READ, Thing(Kind.LOG, OURS, owner_id=ME))
    assert not may(ACTORS["member"], Action.READ, Thing(Kind.LOG, OURS, owner_id=COLLEAGUE))
    assert may(ACTORS["account-admin"], Action.READ, Thing(Kind.LOG, OURS))


@pytest.mark.parametrize(
    ("who", "owner", "letters"),
    [
        ("member", ME, "rcud"),
        ("member", COLLEAGUE, ""),
        ("account-admin", COLLEAGUE, ""),
        ("consultant", STRANGER, ""),
        ("admin", STRANGER, "rcud"),
        ("admin-reader", STRANGER, "r"),
        ("anonymous", ME, ""),
    ],
)
def test_assets_of_owners(who, owner, letters):
    """API v2_0 knows owners and admins only: an account gives no rights there."""
    thing = Thing(Kind.ASSET, OURS, owner_id=owner)
    found = "".join(k for k, action in LETTERS.items() if may(ACTORS[who], action, thing, OWNER_RULES))
    assert found == letters


def test_what_is_public_in_api_v2_0_is_read_and_never_changed():
    """An asset without owner and account is read by everybody logged in; only admins change it."""
    public = Thing(Kind.ASSET)
    allowed = {
        who: "".join(k for k, action in LETTERS.items() if may(ACTORS[who], action, public, OWNER_RULES))
        for who in ("member", "admin", "admin-reader", "anonymous")
    }
    assert allowed == {"member": "r", "admin": "rcud", "admin-reader": "r", "anonymous": ""}


@pytest.mark.parametrize("kind", [Kind.ACCOUNT, Kind.USER, Kind.LOG])
def test_only_assets_and_sensors_can_be_public(kind):
    """An account, a user or an entry of the log that belongs to nobody is not for everybody."""
    assert Relation.PUBLIC not in relations(ACTORS["member"], Thing(kind))


def test_nothing_is_allowed_that_is_not_listed():
    """There is no rule that a missing row would allow."""
    for rules in (ACCOUNT_RULES, OWNER_RULES):
        assert not may(ACTORS["admin"], Action.DELETE, Thing(Kind.PLATFORM), rules)
        assert not may(ACTORS["admin"], Action.DELETE, Thing(Kind.ACCOUNT, OTHER), rules)
        assert not may(ACTORS["admin"], Action.DELETE, Thing(Kind.USER, OTHER), rules)


def test_roles_of_the_field_come_from_both():
    """A user has the market roles of its own and of its account, but platform roles of its own only."""
    actor = Actor(ME, OURS, frozenset({"Prosumer", "admin"}), frozenset({"Supplier", "admin"}))
    assert actor.roles_of_the_field == {"Prosumer", "Supplier"}
    assert {"admin", "account-admin", "consultant"} <= PLATFORM_ROLES


@pytest.mark.parametrize(
    ("actor", "allowed"),
    [
        (Actor(ME, OURS, frozenset({"MDC"})), True),
        (Actor(ME, OURS, frozenset(), frozenset({"MDC"})), True),  # a role of the account is one of the field
        (Actor(ME, OURS, frozenset({"admin"})), True),
        (Actor(ME, OURS, frozenset({"Prosumer"})), False),
        (Actor(ME, OURS, frozenset({"admin-reader"})), False),
        (Actor(ME, OURS, frozenset({"MDC", "anonymous"})), False),
    ],
)
def test_files_about_public_things_come_from_whom_their_data_come(actor, allowed):
    """Prices are uploaded by the roles that prices come from, and by admins; reading everything is not enough."""
    prices = Thing(Kind.SENSOR, posters=frozenset({"MDC"}))
    assert may(actor, Action.CREATE_CHILDREN, prices, UPLOAD_RULES) is allowed


def test_a_role_of_the_field_gives_no_right_to_upload_for_others():
    """What belongs to somebody takes files of its owner only, whatever role others have."""
    meter = Thing(Kind.SENSOR, OURS, COLLEAGUE, posters=frozenset({"MDC"}))
    assert not may(Actor(ME, OURS, frozenset({"MDC"})), Action.CREATE_CHILDREN, meter, UPLOAD_RULES)
    assert may(Actor(COLLEAGUE, OURS), Action.CREATE_CHILDREN, meter, UPLOAD_RULES)
