#!/usr/bin/env python3
"""Asks the API server of $KUBECONFIG about pods.

  pods.py namespace NAME   makes a namespace that enforces the pod security standard `restricted`
  pods.py admit NAMESPACE  reads manifests from the input, and asks for each pod that they would make whether it may be;
                           then, so that the question is known to mean something, for the same pods as root
"""
import copy
import json
import os
import ssl
import sys
import urllib.error
import urllib.request

import yaml

WITH_PODS = ("Deployment", "StatefulSet", "Job")


class Server:
    def __init__(self):
        with open(os.environ["KUBECONFIG"], encoding="utf-8") as file:
            config = yaml.safe_load(file)
        self.address = config["clusters"][0]["cluster"]["server"]
        self.token = config["users"][0]["user"]["token"]
        # A certificate of its own, on loopback.
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE

    def post(self, path, document):
        """The status and what the server says."""
        request = urllib.request.Request(
            self.address + path,
            data=json.dumps(document).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, context=self.context) as answer:
                return answer.status, ""
        except urllib.error.HTTPError as error:
            return error.code, json.load(error).get("message", "")


def namespace(server, name):
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    status, message = server.post(
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": levels}},
    )
    if status != 201:
        sys.exit(f"namespace {name}: {message}")


def pods(manifests):
    for document in yaml.safe_load_all(manifests):
        if not document:
            continue
        name = f"{document['kind']} {document['metadata']['name']}"
        if document["kind"] == "Pod":
            yield name, document["metadata"].get("labels", {}), document["spec"]
        elif document["kind"] in WITH_PODS:
            template = copy.deepcopy(document["spec"]["template"])
            # As the controller of a StatefulSet would: a volume for each claim.
            for claim in document["spec"].get("volumeClaimTemplates", []):
                claimed = {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": "asked"}}
                template["spec"].setdefault("volumes", []).append(claimed)
            yield name, template["metadata"].get("labels", {}), template["spec"]


def admit(server, space):
    count, wrong = 0, []
    path = f"/api/v1/namespaces/{space}/pods?dryRun=All&fieldValidation=Strict"
    for name, labels, spec in pods(sys.stdin):
        count += 1
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"generateName": "asked-", "labels": labels},
            "spec": spec,
        }
        status, message = server.post(path, pod)
        if status != 201:
            wrong.append(f"{name}: {status} {message}")
        as_root = copy.deepcopy(pod)
        as_root["spec"]["securityContext"]["runAsUser"] = 0
        status, _ = server.post(path, as_root)
        if status != 403:
            wrong.append(f"{name}: as root it would be let in as well, status {status}")
    if wrong or count == 0:
        sys.exit("\n".join(wrong) or "no pods were shown")
    print(f"{count} pods are let in, and not as root")


{"namespace": namespace, "admit": admit}[sys.argv[1]](Server(), sys.argv[2])
