"""The people of a small directory, and its settings."""

from pathlib import Path

from radloop.settings import Ldap
from tests.peers.certificates import Certificates
from tests.peers.slapd import LOOKER, LOOKER_PASSWORD, SUFFIX, Slapd

PEOPLE = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
PASSWORD = "Radium & Polonium"


def entry(dn: str, *lines: str) -> str:
    return "\n".join((f"dn: {dn}", *lines)) + "\n\n"


def person(name: str, *lines: str, dn: str = "") -> str:
    more = ("objectClass: inetOrgPerson", f"uid: {name}", "sn: x", f"cn: {name}", f"userPassword: {PASSWORD}")
    return entry(dn or f"uid={name},{PEOPLE}", *more, *lines)


def group(name: str, *members: str, kind: str = "groupOfNames", attribute: str = "member") -> str:
    return entry(f"cn={name},{GROUPS}", f"objectClass: {kind}", f"cn: {name}", *(f"{attribute}: {m}" for m in members))


def user(name: str) -> str:
    return f"uid={name},{PEOPLE}"


def called(name: str) -> str:
    return f"cn={name},{GROUPS}"


POLICY = entry(
    f"cn=policy,{SUFFIX}",
    "objectClass: device",
    "objectClass: pwdPolicy",
    "cn: policy",
    "pwdAttribute: userPassword",
    "pwdLockout: TRUE",
    "pwdMaxFailure: 3",
)

LDIF = (
    entry(SUFFIX, "objectClass: dcObject", "objectClass: organization", "dc: example", "o: Example")
    + entry(PEOPLE, "objectClass: organizationalUnit", "ou: people")
    + entry(GROUPS, "objectClass: organizationalUnit", "ou: groups")
    + POLICY
    + entry(
        LOOKER, "objectClass: applicationProcess", "objectClass: simpleSecurityObject", "cn: looker",
        f"userPassword: {LOOKER_PASSWORD}",
    )
    + person("Curie")
    + person("röntgen")
    + person("locked")
    + person("closed", "pwdAccountLockedTime: 000001010000Z")
    + person("disabled", "description: has left")
    + person("alone")
    + person("meitner")
    + entry(f"ou=east,{PEOPLE}", "objectClass: organizationalUnit", "ou: east")
    + person("twin", dn=f"uid=twin,ou=east,{PEOPLE}")
    + person("twin")
    + person("two", "uid: too", dn=f"cn=two,{PEOPLE}")
    + person("comma", dn=f"cn=Curie\\, Irène (Paris) *,{PEOPLE}").replace("cn: comma\n", "cn: Curie, Irène (Paris) *\n")
    + person("slash", dn=f"cn=a\\5C2Cb,{PEOPLE}").replace("cn: slash\n", "cn: a\\2Cb\n")
    + group("radiologists", user("Curie"), f"cn=Curie\\, Irène (Paris) *,{PEOPLE}")
    + group("clinicians", called("radiologists"))
    + group("staff", called("clinicians"), called("house"))
    + group("house", called("staff"))  # a cycle
    + group("strangers", user("nobody"))
    + group("board", user("Curie"), kind="groupOfUniqueNames", attribute="uniqueMember")
    + entry(called("unix"), "objectClass: posixGroup", "cn: unix", "gidNumber: 1", "memberUid: meitner")
)  # fmt: skip


def settings(at: Slapd, files: Certificates, folder: Path, **changes: object) -> Ldap:
    secret = folder / "looker.secret"
    secret.write_text(LOOKER_PASSWORD + "\n")
    return Ldap(
        **{
            "url": at.url,
            "ca": files.ca,
            "bind_dn": LOOKER,
            "bind_password_file": secret,
            "user_base": PEOPLE,
            "group_base": GROUPS,
            "timeout_seconds": 3.0,
            "disabled_filter": "(|(userAccountControl:1.2.840.113556.1.4.803:=2)(description=has left))",
            **changes,
        }
    )
