/*---
id: token-used-after-revocation
title: A revoked credential was used and accepted
plane: access
severity: high
key: [use_event_id]
frameworks: [ASI03:2026, NHI1:2025, NHI7:2025, AML.T0091.000, T1550.001]
owner: iam
description: >-
  Somebody revoked a token or deleted a key, and it was still accepted within a day after. Either a resource does not ask
  whether tokens are still good, or the holder is the reason why it was revoked.
runbook: >-
  Compare address and user agent of the use with those before the revocation. Shorten the lifetime of tokens for the
  resource that accepted it, and have it check revocation.
first_move:
  access: End every session of the principal and revoke the credential again at the resource that accepted it.
tags: [token]
---*/
-- A refused use is the control at work and stays out: agents with a cached token retry for minutes.
SELECT u.event_time, u.tenant, u.principal, u.session_id, u.agent_id,
       u.event_id AS use_event_id, v.event_id AS revocation_event_id,
       u.kind AS use, u.credential_id, u.client_id, u.resource, u.country, u.asn, v.actor AS revoked_by
FROM identity u
JOIN identity v
  ON  v.tenant = u.tenant AND v.credential_id = u.credential_id
  AND u.event_time > v.event_time
  AND u.event_time <= v.event_time + INTERVAL '24 hours'
WHERE u.kind IN ('token_used', 'token_refreshed', 'token_exchanged', 'access_allowed')
  AND (u.outcome IS NULL OR u.outcome <> 'failure')
  AND v.kind IN ('token_revoked', 'credential_deleted')
  AND (v.outcome IS NULL OR v.outcome <> 'failure')
