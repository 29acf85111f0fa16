/*---
id: session-in-two-places
title: One session was used from two countries within an hour
plane: access
severity: high
key: [use_event_id]
frameworks: [ASI03:2026, AML.T0012, T1539, T1550.004]
owner: iam
description: >-
  A session is used in one country, and within an hour in another, over another network and, where that is said, on another
  device. Nobody travels like that: a cookie or a token of the session has been copied, and whoever holds it needs neither
  password nor second factor.
runbook: >-
  Find out which of the two is the person. Look for the way the cookie took: a phishing page that relays sign-ins, malware, a log
  that holds tokens. What was done from the other place was done by somebody else.
first_move:
  access: End the session everywhere and have the person sign in again on a clean device.
tags: [session, theft]
---*/
-- A private network that is switched on changes country and network, but not the device: where devices are told, it is silent.
SELECT b.event_time, b.tenant, b.principal, b.session_id, b.agent_id,
       b.event_id AS use_event_id, a.event_id AS other_event_id,
       b.kind AS use, b.country, a.country AS other_country, b.asn, a.asn AS other_asn, b.resource
FROM identity a
JOIN identity b
  ON  b.tenant = a.tenant AND b.session_id = a.session_id
  AND b.event_time > a.event_time
  AND b.event_time <= a.event_time + INTERVAL '1 hour'
WHERE a.kind IN ('authentication', 'session_started', 'token_issued', 'token_refreshed', 'token_used', 'access_allowed')
  AND b.kind IN ('authentication', 'token_issued', 'token_refreshed', 'token_used', 'access_allowed')
  AND (a.outcome IS NULL OR a.outcome <> 'failure')
  AND (b.outcome IS NULL OR b.outcome <> 'failure')
  AND a.country <> b.country
  AND a.asn <> b.asn
  AND (a.device_id IS NULL OR b.device_id IS NULL OR a.device_id <> b.device_id)
