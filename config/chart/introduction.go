package main

// introduction of README.md; the tables of values follow.
const introduction = `# Refract's chart

Installs [Refract](https://github.com/refract-dev/refract), which keeps Kubernetes clusters on Nutanix the way Git says, into a management cluster with Kubernetes 1.33 or newer, Cluster API and CAPX.

` + "```sh" + `
helm install refract charts/refract --namespace refract-system --create-namespace \
  --set image.registry=registry.example.com --set image.repository=platform/refract --set image.digest=sha256:…
` + "```" + `

[docs/install.md](https://github.com/refract-dev/refract/blob/main/docs/install.md) tells the rest: upgrading, uninstalling, proxies, restricted networks.

## What it installs

- The CRDs of ` + "`refract.dev`" + `, upgraded with the release. They stay on uninstall.
- Three admission policies: approving takes the verb ` + "`approve`" + `; what is labelled ` + "`refract.dev/protect=true`" + ` is not deleted; a planner only sends dry runs. They stay on uninstall, because what they protect stays.
- The operator: a Deployment under pod security standard ` + "`restricted`" + `, two replicas of which one works, a disruption budget, a network policy, a metrics Service, and no right that it does not use.
- Off by default: a ServiceMonitor, alerts for the Prometheus operator and a dashboard for Grafana.
- ClusterRoles for people: ` + "`-viewer`, `-editor` and `-admin`" + `, which are also part of Kubernetes' own view, edit and admin; ` + "`-approver`" + `, who approves what is held; ` + "`-planner`" + `, who makes exact plans and writes nothing.

## Values

Unknown values are refused. This part is generated from values.yaml and values.schema.json by ` + "`make manifests`" + `.
`
