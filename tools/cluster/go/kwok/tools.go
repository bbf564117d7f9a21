//go:build tools

// Package tools pins the kwok that plays the kubelets of the test cluster's fake nodes.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"
