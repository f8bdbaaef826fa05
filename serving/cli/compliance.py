"""docs/compliance.md: what rules ask for, what of it this system does, which test holds it, where a reviewer sees it.

A row is a claim: its test must exist (a test of ours looks), and its evidence is a command, a page or a document.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Control:
    """One thing that a rule asks for. `test` is `file::name` below tests/; `evidence` is what a reviewer opens."""

    rule: str
    asks: str
    control: str
    test: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Part:
    """One rule: its title, where its text is, and the controls."""

    title: str
    source: str
    controls: tuple[Control, ...]


HIPAA: Final = Part(
    "HIPAA security rule",
    "45 CFR part 164, subpart C. (R) required, (A) addressable.",
    (
        Control(
            "164.308(a)(1)(ii)(D) (R)",
            "regular review of records of system activity",
            "every view, verdict, export, change and failed login is a row of the audit, shown and exported",
            "radloop/audit/test_meanings.py::test_every_action_that_the_code_writes_is_in_the_table",
            "page Audit; `radloop audit export`; docs/audit-record.md",
        ),
        Control(
            "164.308(a)(3), (4) (R/A)",
            "access by role; ended when somebody leaves",
            "one table of roles and permissions, default deny; groups give roles; `disable` ends it all",
            "serving/console/test_access.py::test_a_role_opens_exactly_the_doors_that_the_table_grants",
            "`radloop access`; docs/access.md; page Access",
        ),
        Control(
            "164.308(a)(5)(ii)(C) (A)",
            "monitoring of log-in attempts",
            "failed logins are audited and slowed down per address and per name",
            "serving/console/test_sessions.py::test_too_many_failures_of_one_address_wait_even_with_the_right_token",
            "page Audit, action `login.fail`",
        ),
        Control(
            "164.308(a)(7)(ii)(A), (B) (R)",
            "backup and restore of what is held",
            "online backup without the keys; a restore verifies every file, object and the audit",
            "flows/test_backup.py",
            "`radloop backup`, `radloop restore --check`; docs/backup.md",
        ),
        Control(
            "164.310(d)(2)(i) (R)",
            "disposal",
            "retention deletes by the site's policy, the key of each object first",
            "radloop/store/test_shredding.py::test_the_key_is_gone_for_good_before_the_name_is",
            "`radloop retain --dry-run`; docs/retention.md",
        ),
        Control(
            "164.312(a)(2)(i) (R)",
            "unique user identification",
            "every change names one actor; a person enters their own verdicts only",
            "serving/console/test_sessions.py::test_a_personal_token_opens_a_session_where_there_is_no_directory",
            "`radloop actor list`",
        ),
        Control(
            "164.312(a)(2)(ii) (R)",
            "emergency access",
            "break-glass accounts: off by default, argon2id, loud in the audit",
            "serving/cli/test_access.py",
            "`radloop actor password`; page Audit, action `break-glass`",
        ),
        Control(
            "164.312(a)(2)(iii) (A)",
            "automatic log-off",
            "sessions end when idle and after their longest time; a page that refreshes itself keeps none alive",
            "serving/console/test_sessions.py::test_a_session_ends_when_nobody_uses_it_and_after_its_longest_time",
            "`[console] idle_minutes`, `session_hours`",
        ),
        Control(
            "164.312(a)(2)(iv), (e)(2)(ii) (A)",
            "encryption at rest and on the way",
            "AES-256-GCM per object under wrapped keys; TLS 1.2+ on every listener by settings",
            "radloop/store/test_local.py::test_no_plain_byte_is_at_rest",
            "docs/adr/0003; docs/tls.md; `radloop conformance`",
        ),
        Control(
            "164.312(b) (R)",
            "audit controls",
            "append-only, hash-chained, keyed, anchored outside; the database itself refuses changes",
            "radloop/audit/test_seal.py::test_an_edit_of_any_column_is_found_and_undoing_it_heals_the_record",
            "`radloop audit verify`; `[audit.syslog]`",
        ),
        Control(
            "164.312(c) (R/A)",
            "integrity of what is held",
            "every object is authenticated: changed, cut or swapped bytes are found",
            "radloop/store/test_envelope.py::test_any_changed_byte_is_found",
            "`radloop restore --check`",
        ),
        Control(
            "164.312(d) (R)",
            "authentication of persons and systems",
            "single sign-on or directory for people, certificates bound to AE titles for systems, hashed tokens",
            "integrations/identity/test_ldap.py::test_who_knows_the_password_is_who_the_directory_says_with_groups_of_groups",
            "docs/sign-on.md; docs/tls.md",
        ),
        Control(
            "164.316(b)(2)(i) (R)",
            "documentation kept for six years",
            "audit records are kept six years at least; nothing deletes them",
            "radloop/audit/test_seal.py::test_the_database_itself_refuses_to_change_or_delete_what_is_on_record",
            "`[retention] audit_years`",
        ),
        Control(
            "164.514(a), (b)",
            "de-identification",
            "PS3.15 Annex E with keyed pseudonyms, and a final search that fails closed",
            "integrations/deidentify/test_deidentify_tokens.py::test_whatever_is_planted_wherever_is_gone",
            "`radloop deidentify`; docs/deidentify.md",
        ),
    ),
)

PROPOSAL: Final = Part(
    "HIPAA security rule, proposal of 2025",
    "Notice of proposed rulemaking of 6 January 2025 (90 FR 898). Whether it is in force is for the site to check.",
    (
        Control(
            "164.312(a)(2)(iii)-(iv)",
            "encryption without the choice to do without",
            "at rest always; on the way by `[gateway.tls]`, `[console.tls]`, `[peers.NAME.tls]`",
            "serving/gateway/test_tls.py",
            "`radloop conformance` says what this configuration does",
        ),
        Control(
            "164.312(f)",
            "multi-factor authentication",
            "is the single sign-on's: the console believes its word and adds no second password",
            "integrations/identity/test_oidc.py::test_a_login_asks_for_a_code_with_pkce_and_secrets_of_its_own",
            "docs/sign-on.md; the provider's own policy",
        ),
        Control(
            "164.308(a)(13)",
            "restore within 72 hours, tested",
            "a restore test is one command and can be scheduled by the site",
            "flows/test_backup.py",
            "`radloop restore --check`",
        ),
        Control(
            "164.308(a)(1)(ii)(A), inventory",
            "inventory of technology and a map of where data goes",
            "peers, routes and listeners of this very configuration are printed",
            "serving/gateway/test_conformance.py",
            "`radloop conformance`; DESIGN of data flow in the README",
        ),
    ),
)

AI_ACT: Final = Part(
    "EU AI Act",
    "Regulation (EU) 2024/1689, Articles 12, 14, 19 and 26. When each applies is for the site to check.",
    (
        Control(
            "12(1), 12(2)",
            "events are logged automatically over the lifetime of the system",
            "each study's evidence, answer, model digest, delivery, verdict and sign-off is on record",
            "flows/test_lineage.py",
            "`radloop explain`; page Lineage",
        ),
        Control(
            "12(2)(a), (b), 72",
            "situations of risk and changes can be found; monitoring after the market",
            "drift alarms by cause; stop rules that take a version back; audits against readers",
            "flows/test_stop_rules.py",
            "page Drift and audits; `radloop report`",
        ),
        Control(
            "14(4)(a), (b)",
            "limits are understood; over-reliance is countered",
            "card, threshold, quality notes and heatmap beside each finding; blinded reading; awareness kept per label",
            "serving/console/test_study.py",
            "page Study; `radloop card`",
        ),
        Control(
            "14(4)(c), (d)",
            "a person can interpret the output and decide otherwise",
            "confirm, reject, modify and add are two keys each; an override is thanked for and held against nobody",
            "acceptance/console/test_pages.py::test_a_verdict_is_two_keys_and_a_sign_off_closes_the_study_once",
            "page Study; docs/verdicts.md",
        ),
        Control(
            "14(4)(e)",
            "a person can stop it",
            "go-live by modality with one button to stop; roll-back of a version; a scanner into the shadow",
            "flows/test_standing.py",
            "page Operations, Go-live; `radloop rollback`, `radloop golive stop`",
        ),
        Control(
            "19(1), 26(6)",
            "logs are kept at least six months by provider and deployer",
            "six years by default, in a record that shows any change",
            "radloop/audit/test_seal.py::test_a_truncation_is_found",
            "`radloop audit verify`",
        ),
        Control(
            "26(5)",
            "operation is monitored, and use suspended where there is a risk",
            "hourly and daily watch; notices by mail and webhook; shadow and stop",
            "flows/test_watch.py",
            "`radloop alarms`; page Drift and audits",
        ),
        Control(
            "12, export",
            "the log can be handed over",
            "an export shaped for Article 12, without names: readers are ids",
            "flows/test_auditing_exports.py",
            "`radloop report export --format ai-act`",
        ),
    ),
)

PARTS: Final = (HIPAA, PROPOSAL, AI_ACT)

SITE: Final = (
    "A business associate agreement, where somebody else runs or hosts this system: incidents, subcontractors.",
    "The risk analysis of this installation (164.308(a)(1)), its owners and its review; this page is none.",
    "Physical safeguards, workstations, networks, patching of the operating system and of the database.",
    "Multi-factor authentication and the life cycle of accounts at the single sign-on or directory.",
    "Training of readers (AI literacy, Article 4), and naming those who oversee with authority (Article 26(2)).",
    "Keeping backups and their keys apart, off the site, and testing the restore on a schedule.",
    "Telling patients where the law asks for it (Article 26(11)), and consent for training, which is off by default.",
    "Deciding whether a model is a medical device here, and its conformity: the models that come with radloop are "
    "RESEARCH demonstrations and not for diagnosis.",
    "Reporting serious incidents (Article 73) and breaches (45 CFR 164.400 and following).",
)


def document() -> Iterator[str]:
    """The lines of docs/compliance.md."""
    yield from ("# What rules ask for, and what holds it here", "")
    yield "Each row is a control of this system, the test that holds it (below `tests/`) and what a reviewer opens."
    yield "It is written by the people who build the system, not by lawyers or auditors: it certifies nothing."
    for part in PARTS:
        yield from ("", f"## {part.title}", "", part.source, "")
        yield from _table(part.controls)
    yield from ("", "## What a site must still do itself", "")
    yield from (f"- {one}" for one in SITE)


def _table(controls: Sequence[Control]) -> Iterator[str]:
    yield from ("| clause | asks for | here | test | evidence |", "|---|---|---|---|---|")
    for one in controls:
        yield f"| {one.rule} | {one.asks} | {one.control} | `{one.test}` | {one.evidence} |"
