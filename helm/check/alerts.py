#!/usr/bin/env python3
"""Sees to it that no alert is forgotten: each fires in one case of alerts.yaml and does not in another, and has a section of
the runbooks; and nothing is tested or described that is not there.

  alerts.py ROOT_OF_THE_TREE RENDERED_RULES
"""
import pathlib
import re
import sys

import yaml


def main():
    root, rules = pathlib.Path(sys.argv[1]), yaml.safe_load(pathlib.Path(sys.argv[2]).read_text())
    alerts = {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    cases = yaml.safe_load((root / "helm/check/alerts.yaml").read_text())["tests"]
    silent, firing = set(), set()
    for case in cases:
        for test in case.get("alert_rule_test", []):
            (firing if test.get("exp_alerts") else silent).add(test["alertname"])
        for test in case.get("promql_expr_test", []):
            for sample in test["exp_samples"]:
                firing |= set(re.findall(r'alertname="(\w+)"', sample["labels"]))
    described = set(re.findall(r"^### (\w+)$", (root / "docs/runbooks.md").read_text(), flags=re.M))
    problems = []
    for what, names in {"a case in which it fires": firing, "a case in which it does not": silent, "a runbook": described}.items():
        problems += [f"{name} has no {what}" for name in sorted(set(alerts) - names)]
        problems += [f"there is {what} of {name}, which is no alert" for name in sorted(names - set(alerts))]
    for name, rule in alerts.items():
        if rule["labels"].get("severity") not in ("critical", "warning"):
            problems.append(f"{name} has no severity")
        if not rule["annotations"]["runbook_url"].endswith(f"docs/runbooks.md#{name.lower()}"):
            problems.append(f"{name} does not lead to its runbook")
    print("\n".join(problems) or f"{len(alerts)} alerts, each with a runbook and two cases")
    sys.exit(bool(problems))


main()
