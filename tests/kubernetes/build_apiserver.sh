#!/bin/bash
# Builds kube-apiserver and kube-controller-manager 1.20.2 from Debian bookworm's source package, which carries
# vendor/: no Go module proxy, no root. 6 to 15 minutes, 2.4 GB while building, 214 MB kept.
# usage: build_apiserver.sh [FOLDER]      FOLDER/bin holds the result; needs Debian 12 and make
set -euo pipefail
version=1.20.2
to=$(realpath -m "${1:-${XDG_CACHE_HOME:-$HOME/.cache}/planner/kube-apiserver-$version}")
if [ -x "$to/bin/kube-apiserver" ] && [ -x "$to/bin/kube-controller-manager" ]; then
  echo "$to/bin"
  exit 0
fi
mkdir -p "$to"
exec 9> "$to/lock"
flock 9
[ -x "$to/bin/kube-controller-manager" ] && { echo "$to/bin"; exit 0; }
sources=/etc/apt/sources.list.d/debian.sources
grep -q bookworm "$sources" 2> /dev/null || { echo "needs Debian 12: $sources names no bookworm" >&2; exit 3; }
command -v make > /dev/null || { echo "needs make" >&2; exit 3; }
w=$to/build
rm -rf "$w"
mkdir -p "$w"/apt/{parts,lists/partial,cache/archives/partial} "$w"/{debs,tools,src,bin,home}
# Lists and sources of its own leave the system's apt alone.
sed 's/^Types: deb$/Types: deb deb-src/' "$sources" > "$w/apt/parts/src.sources"
cat > "$w/apt/apt.conf" <<X
Dir::Etc::sourcelist "/dev/null"; Dir::Etc::sourceparts "$w/apt/parts";
Dir::State::lists "$w/apt/lists"; Dir::Cache "$w/apt/cache"; Dir::Cache::archives "$w/apt/cache/archives";
X
export APT_CONFIG=$w/apt/apt.conf
apt-get -qq update
cd "$w/src"
apt-get -qq source --download-only kubernetes
mkdir k8s && tar xzf kubernetes_*.orig.tar.gz -C k8s --strip-components=1
cd "$w/debs"
apt-get -qq download golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev
# Without rsync `make generated_files` dies on a file it thinks it has; it is unpacked here, not installed.
command -v rsync > /dev/null || apt-get -qq download rsync libpopt0 libxxhash0 liblz4-1 libzstd1 libacl1
for deb in *.deb; do dpkg -x "$deb" "$w/tools"; done
# The vendored reflect2 1.0.1 is older than the Go that builds here.
v=$w/src/k8s/vendor/github.com/modern-go/reflect2
rm -f "$v"/*.go "$v"/*.s
cp "$w"/tools/usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} "$v/"
rm -f "$v"/*_test.go
cd "$w/src/k8s"
mkdir -p .go/src/k8s.io && ln -sfn ../../.. .go/src/k8s.io/kubernetes
export GOROOT=$w/tools/usr/lib/go-1.19 GOPATH=$PWD/.go GOCACHE=$w/gocache HOME=$w/home
export CGO_ENABLED=0 GO111MODULE=off GOPROXY=off GOMAXPROCS=2
export PATH=$GOROOT/bin:$PATH:$w/tools/usr/bin
if ! rsync --version > /dev/null 2>&1; then
  export LD_LIBRARY_PATH=$w/tools/usr/lib/$(uname -m)-linux-gnu
fi
make generated_files
# Clients parse /version, so it must say one.
flags="-s -w"
for package in component-base/version client-go/pkg/version; do
  p=k8s.io/kubernetes/vendor/k8s.io/$package
  flags="$flags -X $p.gitMajor=1 -X $p.gitMinor=20 -X $p.gitVersion=v$version"
done
cd .go/src/k8s.io/kubernetes
for command in kube-apiserver kube-controller-manager; do
  go build -p 2 -ldflags "$flags" -o "$w/bin/$command" "k8s.io/kubernetes/cmd/$command"
done
mv "$w/bin" "$to/bin"
chmod -R u+w "$w" && rm -rf "$w"
echo "$to/bin"
