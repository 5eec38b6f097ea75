// Package rules checks the dashboard and the alert rules of the chart with Prometheus' own parsers and rule engine.
package rules
