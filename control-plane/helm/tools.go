//go:build tools

// Package tools pins the command that build.sh compiles.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
