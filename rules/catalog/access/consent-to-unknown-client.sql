/*---
id: consent-to-unknown-client
title: A person let in a client that nobody knew, and it acts from another country
plane: access
severity: high
key: [use_event_id]
frameworks: [ASI03:2026, NHI5:2025, T1528, T1566.002]
owner: iam
description: >-
  Somebody consents to a client to which nobody in the tenant has consented in the past 30 days, and within an hour that client
  uses what it was given from another country than the person sat in. Consent phishing looks like this: no password is stolen,
  no second factor is asked for, and the access survives a change of both.
runbook: >-
  Ask the person what they thought they agreed to. Look up the client's publisher and who else consented to it since. Everything
  that it read counts as disclosed.
first_move:
  access: Revoke the consent and the client's tokens, and block the client for the tenant.
tags: [consent, phishing]
---*/
SELECT u.event_time, u.tenant, u.principal, u.session_id, u.agent_id,
       u.event_id AS use_event_id, c.event_id AS consent_event_id,
       u.kind AS use, c.client_id, c.scopes, c.country AS consented_in, u.country, u.asn, u.resource
FROM identity c
JOIN identity u
  ON  u.tenant = c.tenant AND u.principal = c.principal AND u.client_id = c.client_id
  AND u.event_time > c.event_time
  AND u.event_time <= c.event_time + INTERVAL '1 hour'
WHERE c.kind = 'consent_granted'
  AND (c.outcome IS NULL OR c.outcome <> 'failure')
  AND u.kind IN ('token_used', 'token_refreshed', 'access_allowed')
  AND (u.outcome IS NULL OR u.outcome <> 'failure')
  AND u.country <> c.country
  -- Consents are few: thirty days of them cost nothing, which can't be said of every event of a client.
  AND NOT EXISTS (
        SELECT 1 FROM identity p
        WHERE p.tenant = c.tenant AND p.client_id = c.client_id
          AND p.kind = 'consent_granted'
          AND p.event_time >= c.event_time - INTERVAL '30 days'
          AND p.event_time < c.event_time)
