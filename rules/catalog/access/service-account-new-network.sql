/*---
id: service-account-new-network
title: A service account's credential signed in from a country or network where it never was
plane: access
severity: high
key: [signin_event_id]
frameworks: [ASI03:2026, NHI2:2025, NHI4:2025, AML.T0012, T1078.004]
owner: iam
description: >-
  Workloads do not travel. A service, workload or agent identity that signs in from a country or an autonomous system
  where it was not in the past two weeks is a migration that nobody announced, or a stolen secret.
runbook: >-
  Ask the owner of the account whether the workload was moved. If not, rotate the secret, then look at everything that the
  credential did from the new network.
first_move:
  access: Rotate the credential and end its sessions; allow only the networks that the workload is known to run in.
tags: [baseline, non-human]
---*/
-- What the source did not say (no country, no number) is taken for "as before": half of an enriched log must not page.
-- People are left out of the history as well: two weeks of their sign-ins would be a lot to remember for nothing.
-- The account needs an earlier located sign-in, or its first one would count as a journey.
SELECT i.event_time, i.tenant, i.principal, i.session_id, i.agent_id,
       i.event_id AS signin_event_id,
       i.principal_type, i.credential_id, i.client_id, i.country, i.asn, i.ip
FROM identity i
WHERE i.kind = 'authentication'
  AND i.outcome = 'success'
  AND i.principal_type IN ('service', 'workload', 'agent')
  AND (i.country IS NOT NULL OR i.asn IS NOT NULL)
  AND NOT EXISTS (
        SELECT 1 FROM identity p
        WHERE p.tenant = i.tenant AND p.principal = i.principal
          AND p.kind = 'authentication' AND p.outcome = 'success'
          AND p.principal_type IN ('service', 'workload', 'agent')
          AND (p.country IS NOT NULL OR p.asn IS NOT NULL)
          AND (p.country = i.country OR p.country IS NULL OR i.country IS NULL)
          AND (p.asn = i.asn OR p.asn IS NULL OR i.asn IS NULL)
          AND p.event_time >= i.event_time - INTERVAL '14 days'
          AND p.event_time < i.event_time)
  AND EXISTS (
        SELECT 1 FROM identity b
        WHERE b.tenant = i.tenant AND b.principal = i.principal
          AND b.kind = 'authentication' AND b.outcome = 'success'
          AND b.principal_type IN ('service', 'workload', 'agent')
          AND (b.country IS NOT NULL OR b.asn IS NOT NULL)
          AND b.event_time >= i.event_time - INTERVAL '14 days'
          AND b.event_time < i.event_time)
