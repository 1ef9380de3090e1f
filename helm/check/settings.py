#!/usr/bin/env python3
"""Holds the chart to docs/settings.md: each setting that a service has, and no other, can be set in the values of that
service, or is set by the chart from a value with a name of its own.

  settings.py ROOT_OF_THE_TREE
"""
import json
import re
import sys

# From values such as kafka.bootstrapServers; in templates/_settings.tpl and _pod.tpl.
BY_THE_CHART = {
    "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_CONFIG", "EVENTS_TOPIC", "CAMPAIGNS_TOPIC", "CAMPAIGN_CHANGES_TOPIC",
    "MATCHES_TOPIC", "CLAIMS_TOPIC", "CUSTOMER_STATE_TOPIC", "BUDGET_STATE_TOPIC", "REFUSALS_TOPIC",
    "CAMPAIGN_EVENTS_TOPIC", "AUDIENCE_MEMBERS_TOPIC", "DEAD_LETTERS_TOPIC", "SCHEMA_REGISTRY_URL",
    "SCHEMA_REGISTRY_USER", "SCHEMA_REGISTRY_PASSWORD", "SCYLLA_NODES", "SCYLLA_KEYSPACE", "SCYLLA_USER",
    "SCYLLA_PASSWORD", "AUTH", "API_KEYS_FILE", "OIDC_ISSUER", "OIDC_AUDIENCE", "HTTP_ADDR", "METRICS_ADDR",
    "LOG_FORMAT", "LOG_FILTER", "MATCHER_INSTANCE", "STATE_DIR", "STATE_MEMORY",
    "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
}
SERVICES = {"ingest": "ingest", "matcher": "matcher", "campaign-admin": "campaignAdmin"}


def main():
    root = sys.argv[1]
    with open(f"{root}/docs/settings.md", encoding="utf-8") as file:
        sections = re.split(r"^## ", file.read(), flags=re.M)[1:]
    documented = {
        section.split("\n")[0].strip(): set(re.findall(r"^\| `([A-Z0-9_]+)`", section, flags=re.M))
        for section in sections
    }
    with open(f"{root}/helm/campaign-manager/values.schema.json", encoding="utf-8") as file:
        values = json.load(file)["properties"]
    wrong = False
    for program, key in SERVICES.items():
        in_chart = set(values[key]["properties"]["settings"]["properties"])
        wanted = documented[program] - BY_THE_CHART
        for name in sorted(wanted - in_chart):
            print(f"values.schema.json: {key}.settings lacks {name} of docs/settings.md")
        for name in sorted(in_chart - wanted):
            print(f"values.schema.json: {key}.settings has {name}, which docs/settings.md does not give to {program}")
        wrong |= wanted != in_chart
    sys.exit(wrong)


main()
