"""Who may do what: accounts, sessions, keys, tokens, and the log of every change. README.md has the rules.

actor      who asks, and what a role, a place and a scope allow (pure)
access     the edge to Flask: every view says whom it is for
passwords, totp   what people sign in with
users, sessions, keys, tokens   what is kept of them in SQL
audit      the log that is only ever added to
"""
