#!/usr/bin/env python3
"""Holds the KafkaUsers of the chart to docs/security.md, whose lines a test gives to a real broker: each user has exactly the
rights that stand there.

  access.py ROOT_OF_THE_TREE < RENDERED_KAFKAUSERS
"""
import re
import shlex
import sys

import yaml

KINDS = {"--topic": "topic", "--group": "group", "--transactional-id": "transactionalId"}
# Of Strimzi: `prefix` is what kafka-acls.sh calls `prefixed`.
PATTERNS = {"prefixed": "prefix"}


def documented(page):
    for line in page.splitlines():
        if not line.startswith("kafka-acls.sh"):
            continue
        words = shlex.split(line)
        options = list(zip(words, words[1:]))
        (user,) = (value for flag, value in options if flag == "--allow-principal")
        ((kind, name),) = ((KINDS[flag], value) for flag, value in options if flag in KINDS)
        pattern = dict(options).get("--resource-pattern-type", "literal")
        for flag, operation in options:
            if flag == "--operation":
                yield user.removeprefix("User:"), kind, name, PATTERNS.get(pattern, pattern), operation


def rendered(documents):
    for user in documents:
        for rule in user["spec"]["authorization"]["acls"]:
            resource = rule["resource"]
            for operation in rule["operations"]:
                yield (
                    user["metadata"]["name"], resource["type"], resource.get("name", ""),
                    resource.get("patternType", "literal"), operation,
                )


def main():
    with open(f"{sys.argv[1]}/docs/security.md", encoding="utf-8") as file:
        wanted = set(documented(file.read()))
    found = set(rendered(d for d in yaml.safe_load_all(sys.stdin) if d))
    # Reward services are not of the chart.
    wanted = {right for right in wanted if right[0] != "rewards"}
    for right in sorted(wanted - found):
        print("docs/security.md gives, and the chart does not:", *right)
    for right in sorted(found - wanted):
        print("the chart gives, and docs/security.md does not:", *right)
    sys.exit(wanted != found or not wanted)


main()
