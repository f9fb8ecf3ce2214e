#!/usr/bin/env bash
# Finds the programs of the development control plane, building from Go modules what is not found.
# Looks in $KUBEBUILDER_ASSETS, then on PATH (kubectl and the control plane only in the pinned minor
# version), then in the cache. Prints one line "NAME PATH" for each program; progress goes to stderr.
#
# Overridable: CONTROL_PLANE_CACHE (the cache folder). Other versions: edit the go.mod files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

module_version() { awk -v module="$2" '$1 == "require" && $2 == module { print $3; exit } $1 == module { print $2; exit }' "$1/go.mod"; }
kubernetes=$(module_version kubernetes k8s.io/kubernetes)
etcd=$(module_version etcd go.etcd.io/etcd/server/v3)
helm=$(module_version helm helm.sh/helm/v4)
cache=${CONTROL_PLANE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/teams-connector/control-plane}/$kubernetes-etcd-$etcd-helm-$helm

# What the program itself says must contain the pinned minor version ("v1.37.", "3.6.", "v4.").
says_version() {
  case $2 in
    kubectl) "$1" version --client 2>/dev/null | grep -q "${kubernetes%.*}\." ;;
    kube-*) "$1" --version 2>/dev/null | grep -q "${kubernetes%.*}\." ;;
    etcd) "$1" --version 2>/dev/null | grep -q "${etcd#v}" ;;
    helm) "$1" version --short 2>/dev/null | grep -q "${helm%%.*}\." ;;
  esac
}

build() {
  local name=$1 module=$2 package=$3 flags=$4 began=$SECONDS
  echo "building $name from Go modules (once; $5)" >&2
  mkdir -p "$cache"
  (cd "$module" && CGO_ENABLED=0 go build -trimpath -mod=readonly -ldflags "-s -w $flags" -o "$cache/.$name.$$" "$package" >&2)
  mv "$cache/.$name.$$" "$cache/$name"
  echo "built $name in $((SECONDS - began)) s" >&2
}

resolve() {
  local name=$1 found
  if [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/$name" ]; then
    echo "$name $KUBEBUILDER_ASSETS/$name"
    return
  fi
  if found=$(command -v "$name") && says_version "$found" "$name"; then
    echo "$name $found"
    return
  fi
  [ -x "$cache/$name" ] || build "$@"
  echo "$name $cache/$name"
}

version="-X k8s.io/component-base/version.gitVersion=$kubernetes -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(echo "$kubernetes" | cut -d. -f2)"
resolve kube-apiserver kubernetes k8s.io/kubernetes/cmd/kube-apiserver "$version" "about 7 minutes on 2 cores"
resolve kube-controller-manager kubernetes k8s.io/kubernetes/cmd/kube-controller-manager "$version" "about 2 minutes more"
resolve kubectl kubernetes k8s.io/kubernetes/cmd/kubectl "$version" "about half a minute"
resolve etcd etcd go.etcd.io/etcd/server/v3 "" "about half a minute"
resolve helm helm helm.sh/helm/v4/cmd/helm "" "about 3 minutes"
