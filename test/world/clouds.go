package world

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/refract-dev/refract/test/controlplane"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// The one account of the simulated Prism Central.
const (
	PrismUsername = "refract"
	PrismPassword = "refract/4u" //nolint:gosec // of a simulator on the loopback network
)

// Prism is how to reach the simulated Prism Central.
type Prism struct {
	// Server is the simulator itself, to look at and to change what it holds.
	Server *simulator.Server
	// Host and Port are where it serves TLS.
	Host string
	Port int
	// Username and Password are its one account.
	Username, Password string
	// CA is the certificate authority that vouches for it, in PEM.
	CA []byte
}

// startClouds starts the workload clusters and the Prism Central whose VMs are their nodes.
func (w *World) startClouds(ctx context.Context) error {
	address := w.addresses.at(hostWorkload, portWorkload)
	if err := w.run(ctx, command{
		name: controlplane.Workload, path: w.programs[controlplane.Workload], args: []string{"-listen=" + address},
		ready: func(ctx context.Context) error { return probe(ctx, http.DefaultClient, "http://"+address+"/healthz") },
	}); err != nil {
		return err
	}
	return w.startPrism(ctx, "http://"+address)
}

func (w *World) startPrism(ctx context.Context, workload string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", w.addresses.at(hostPrism, portPrism))
	if err != nil {
		return fmt.Errorf("prism central: %w", err)
	}
	certificate, err := w.ca.serving(w.addresses.host(hostPrism))
	if err != nil {
		return err
	}
	keyPair, err := tls.X509KeyPair(certificate.cert, certificate.key)
	if err != nil {
		return fmt.Errorf("certificate of Prism Central: %w", err)
	}
	out, err := os.Create(filepath.Join(w.dir, "prism.log"))
	if err != nil {
		return fmt.Errorf("log of Prism Central: %w", err)
	}
	model := w.options.Model
	if len(model.PrismElements) == 0 {
		model = simulator.DefaultModel()
	}
	clusters := &workloadClient{url: workload, errors: log.New(out, "", log.LstdFlags)}
	simulator := simulator.New(simulator.Options{
		Model: model, Username: PrismUsername, Password: PrismPassword, BootDelay: w.options.BootDelay,
		OnPowerOn: clusters.booted, OnDelete: clusters.deleted, Log: out,
	})
	server := &http.Server{
		Handler: simulator, ReadHeaderTimeout: time.Minute, ErrorLog: clusters.errors,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{keyPair}, MinVersion: tls.VersionTLS12},
	}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	w.Prism = Prism{
		Server: simulator, Host: w.addresses.host(hostPrism), Port: portPrism,
		Username: PrismUsername, Password: PrismPassword, CA: w.ca.pem,
	}
	w.cleanup = append(w.cleanup, func() {
		_ = server.Close()
		simulator.Close()
		_ = out.Close()
	})
	return nil
}

// workloadClient tells the workload clusters what happened to VMs.
type workloadClient struct {
	url    string
	errors *log.Logger
}

// workloadVM is what the workload clusters need to know of a VM.
type workloadVM struct {
	ExtID    string `json:"extID"`
	Name     string `json:"name"`
	IP       string `json:"ip"`
	Image    string `json:"image"`
	UserData string `json:"userData"`
}

func (c *workloadClient) booted(vm simulator.VM) {
	body, err := json.Marshal(workloadVM{ExtID: vm.ExtID, Name: vm.Name, IP: vm.IP, Image: vm.Image, UserData: vm.UserData})
	if err != nil {
		c.errors.Print(err)
		return
	}
	c.send(http.MethodPost, "/vms", body)
}

func (c *workloadClient) deleted(vm simulator.VM) { c.send(http.MethodDelete, "/vms/"+vm.ExtID, nil) }

// send has nobody to report to but the log: the simulator calls it when something has happened already.
func (c *workloadClient) send(method, path string, body []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) //nolint:forbidigo // called by the simulator, outside any request
	defer cancel()
	err := func() error {
		request, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(response.Body)
		if response.StatusCode >= http.StatusMultipleChoices {
			err = errors.Join(err, fmt.Errorf("%s: %s", response.Status, text))
		}
		return errors.Join(err, response.Body.Close())
	}()
	if err != nil {
		c.errors.Printf("telling the workload clusters: %s %s: %v", method, path, err)
	}
}
