/*---
id: failed-sign-ins-then-success
title: A burst of failed sign-ins ended in a success
plane: access
severity: high
key: [signin_event_id]
frameworks: [NHI4:2025, AML.T0012, T1110, T1621]
owner: iam
description: >-
  Five or more failed sign-ins or second factors of one account within ten minutes, and then one that succeeds: a guessed
  password, or a person who tapped "approve" to make the prompts stop.
runbook: >-
  Ask the account's owner over another channel. If it was not them, reset password and second factor, and look at what the
  new session did.
first_move:
  access: End the session that the success opened and require a new second factor.
tags: [brute-force]
---*/
-- Counted back from the success and not by the clock's ten minutes: a burst across a full hour is one burst.
SELECT s.event_time, s.tenant, s.principal, s.session_id, s.agent_id,
       s.event_id AS signin_event_id, array_agg(f.event_id) AS failure_event_ids,
       s.client_id, s.country, s.asn, s.ip, COUNT(*) AS failures
FROM identity s
JOIN identity f
  ON  f.tenant = s.tenant AND f.principal = s.principal
  AND s.event_time > f.event_time
  AND s.event_time <= f.event_time + INTERVAL '10 minutes'
WHERE s.kind = 'authentication' AND s.outcome = 'success'
  AND f.kind IN ('authentication', 'mfa_challenge') AND f.outcome = 'failure'
GROUP BY s.event_time, s.tenant, s.principal, s.session_id, s.agent_id, s.event_id, s.client_id, s.country, s.asn, s.ip
HAVING COUNT(*) >= 5
