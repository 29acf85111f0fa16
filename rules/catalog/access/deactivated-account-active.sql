/*---
id: deactivated-account-active
title: A deactivated account is still active
plane: access
severity: high
key: [use_event_id]
frameworks: [ASI03:2026, NHI1:2025, AML.T0012, T1078.004]
owner: iam
description: >-
  An account was deactivated or deleted, nobody reactivated it, and within a day it signs in, gets or uses a token, or is
  allowed in. Offboarding reached the directory but not everything that trusts it.
runbook: >-
  List the systems that still accept the account: those without SCIM, with their own passwords or with long-lived tokens.
  Treat what was done after the deactivation as done by a stranger.
first_move:
  access: Revoke all tokens and sessions of the account and disable it at the system that let it in.
tags: [offboarding]
---*/
SELECT u.event_time, u.tenant, u.principal, u.session_id, u.agent_id,
       u.event_id AS use_event_id, d.event_id AS deactivation_event_id,
       u.kind AS use, u.credential_id, u.client_id, u.resource, u.country, u.asn
FROM identity u
JOIN identity d
  ON  d.tenant = u.tenant AND d.principal = u.principal
  AND u.event_time > d.event_time
  AND u.event_time <= d.event_time + INTERVAL '24 hours'
WHERE u.kind IN ('authentication', 'session_started', 'token_issued', 'token_refreshed', 'token_exchanged',
                 'token_used', 'access_allowed')
  AND (u.outcome IS NULL OR u.outcome <> 'failure')
  AND d.kind IN ('account_deactivated', 'account_deleted')
  AND (d.outcome IS NULL OR d.outcome <> 'failure')
  AND NOT EXISTS (
        SELECT 1 FROM identity a
        WHERE a.tenant = u.tenant AND a.principal = u.principal
          AND a.kind IN ('account_reactivated', 'account_created')
          AND a.event_time > d.event_time
          AND a.event_time <= u.event_time
          -- Follows from the two lines above; said here so that it can be read how long a reactivation matters.
          AND a.event_time >= u.event_time - INTERVAL '24 hours')
