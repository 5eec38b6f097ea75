package world

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func connect(kubeconfig []byte) (client.Client, error) {
	cfg, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	return client.New(cfg, client.Options{})
}

// onlyLoopback reads from /proc what the world's programs listen on.
func onlyLoopback(t *testing.T, w *World) {
	t.Helper()
	listening := map[string]string{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(table)
		if err != nil {
			continue // no IPv6 here
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if fields := strings.Fields(lines.Text()); len(fields) > 9 && fields[3] == "0A" {
				listening[fields[9]] = fields[1]
			}
		}
		_ = file.Close()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, p := range w.processes {
		sockets, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.cmd.Process.Pid))
		if err != nil || len(sockets) == 0 {
			t.Fatalf("what %s has open is not to be seen: %v", name, err)
		}
		seen := 0
		for _, socket := range sockets {
			target, _ := os.Readlink(socket)
			address, ok := listening[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")]
			if !ok {
				continue
			}
			seen++
			// The last byte of the address comes first: the kernel prints 127.0.0.1 as 0100007F.
			if raw, err := hex.DecodeString(strings.Split(address, ":")[0]); err != nil || len(raw) != 4 || raw[3] != 127 {
				port, _ := strconv.ParseInt(strings.Split(address, ":")[1], 16, 32)
				t.Errorf("%s listens on %s, port %d", name, address, port)
			}
		}
		if seen == 0 {
			t.Errorf("%s listens nowhere", name)
		}
	}
}
