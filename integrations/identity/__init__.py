"""Who somebody is, as the site's own provider says it: the directory (`ldap`) or single sign-on (`oidc`).

Neither knows roles: the groups that they answer are given roles by [login.groups] of radloop.toml. A refusal says one
thing outwardly; its `why` is for the audit.
"""
