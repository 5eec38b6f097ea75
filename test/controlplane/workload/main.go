// Command workload-clusters answers for the workload clusters behind simulated VMs. It is told when a VM has booted
// and when it is gone; from the VM's own cloud-init it knows whether that would have been kubeadm init or join, and it
// serves the API server and the etcd members of each cluster from memory, at the cluster's control-plane endpoint.
//
// It will never be a cluster: no kubelet, scheduler or network runs, a node is Ready as soon as it has joined, and
// what it keeps is lost when it ends.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:19600", "loopback address to be told about VMs at")
	flag.Parse()
	log := textlogger.NewLogger(textlogger.NewConfig())
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:forbidigo // the program's root
	defer stop()
	if err := run(logr.NewContext(ctx, log), *listen); err != nil {
		log.Error(err, "ended")
		stop()
		os.Exit(1)
	}
}

// run serves POST /vms with a vm as JSON, DELETE /vms/{extID}, and GET /healthz until ctx ends.
func run(ctx context.Context, address string) error {
	if err := loopbackOnly(address); err != nil {
		return err
	}
	site, err := newSite(ctx)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /vms", func(w http.ResponseWriter, r *http.Request) {
		var v vm
		if bad := json.NewDecoder(r.Body).Decode(&v); bad != nil {
			http.Error(w, bad.Error(), http.StatusBadRequest)
			return
		}
		site.boot(ctx, v)
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("DELETE /vms/{extID}", func(w http.ResponseWriter, r *http.Request) {
		site.remove(ctx, r.PathValue("extID"))
		w.WriteHeader(http.StatusNoContent)
	})
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

func loopbackOnly(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address %q: %w", address, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("address %q is not on the loopback network", address)
	}
	return nil
}
