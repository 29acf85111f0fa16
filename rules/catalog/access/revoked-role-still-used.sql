/*---
id: revoked-role-still-used
title: Access was granted with a role that had been taken away
plane: access
severity: medium
key: [use_event_id]
frameworks: [ASI03:2026, NHI5:2025, AML.T0012, T1078.004]
owner: iam
description: >-
  A role or group was taken from a principal, and more than a quarter of an hour later, but within a day, it is let in or gets
  a token with that role all the same. Whoever changes teams keeps what the old one could do wherever the change hasn't arrived.
runbook: >-
  Find the system that still knows the role: a nested group, a cached token, a copy of the directory. Decide what was done under
  it since the change, and by whom: a person who clicks on an old bookmark, or an agent that goes on by itself.
first_move:
  access: Revoke the tokens that carry the role and take it away at the system that still grants it.
tags: [entitlement, mover]
---*/
-- The quarter of an hour is what directories and caches are given to agree.
SELECT u.event_time, u.tenant, u.principal, u.session_id, u.agent_id,
       u.event_id AS use_event_id, v.event_id AS revocation_event_id,
       u.kind AS use, u.roles, v.roles AS revoked, u.resource, u.client_id, v.actor AS revoked_by
FROM identity u
JOIN identity v
  ON  v.tenant = u.tenant AND v.principal = u.principal
  AND u.event_time > v.event_time + INTERVAL '15 minutes'
  AND u.event_time <= v.event_time + INTERVAL '24 hours'
WHERE u.kind IN ('access_allowed', 'token_issued', 'token_refreshed', 'token_exchanged')
  AND (u.outcome IS NULL OR u.outcome <> 'failure')
  AND v.kind IN ('role_revoked', 'group_removed')
  AND (v.outcome IS NULL OR v.outcome <> 'failure')
  AND u.roles IS NOT NULL AND v.roles IS NOT NULL
  AND array_has_any(u.roles, v.roles)
  AND NOT EXISTS (
        SELECT 1 FROM identity a
        WHERE a.tenant = v.tenant AND a.principal = v.principal
          AND a.kind IN ('role_granted', 'group_added')
          AND (a.outcome IS NULL OR a.outcome <> 'failure')
          AND a.roles IS NOT NULL
          AND array_has_any(a.roles, v.roles)
          AND a.event_time > v.event_time
          AND a.event_time <= u.event_time
          -- Follows from the two lines above; said here so that it can be read how long a grant matters.
          AND a.event_time >= u.event_time - INTERVAL '24 hours')
