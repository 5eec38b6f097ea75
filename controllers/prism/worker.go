package prism

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	cluster "github.com/nutanix/ntnx-api-golang-clients/clustermgmt-go-client/v4/api"
	clusterclient "github.com/nutanix/ntnx-api-golang-clients/clustermgmt-go-client/v4/client"
	network "github.com/nutanix/ntnx-api-golang-clients/networking-go-client/v4/api"
	networkclient "github.com/nutanix/ntnx-api-golang-clients/networking-go-client/v4/client"
	central "github.com/nutanix/ntnx-api-golang-clients/prism-go-client/v4/api"
	centralclient "github.com/nutanix/ntnx-api-golang-clients/prism-go-client/v4/client"
	vmm "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/api"
	vmmclient "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/client"
	"github.com/sirupsen/logrus"
)

// worker is one set of SDK clients. They are not safe for concurrent use, so each serves one call at a time.
type worker struct {
	pass       *pass
	vms        *vmm.VmApi
	images     *vmm.ImagesApi
	clusters   *cluster.ClustersApi
	containers *cluster.StorageContainersApi
	subnets    *network.SubnetsApi
	categories *central.CategoriesApi
	tasks      *central.TasksApi
	managers   *central.DomainManagerApi
}

func newWorker(port int) (*worker, error) {
	p, err := newPass()
	if err != nil {
		return nil, err
	}
	v, c, n, m := vmmclient.NewApiClient(), clusterclient.NewApiClient(), networkclient.NewApiClient(), centralclient.NewApiClient()
	for _, client := range []any{v, c, n, m} {
		if err := tame(client, port, p.token); err != nil {
			return nil, err
		}
	}
	return &worker{
		pass: p,
		vms:  vmm.NewVmApi(v), images: vmm.NewImagesApi(v),
		clusters: cluster.NewClustersApi(c), containers: cluster.NewStorageContainersApi(c),
		subnets:    network.NewSubnetsApi(n),
		categories: central.NewCategoriesApi(m), tasks: central.NewTasksApi(m), managers: central.NewDomainManagerApi(m),
	}, nil
}

// neverFirst is longer than the forwarder can take, so that the SDK never ends a request before it.
const neverFirst = time.Hour

// tame points an SDK's client at the forwarder and takes its own ideas away: retries, version negotiation, log.
//
// The clients are four copies of one generated file without a common type, hence the reflection.
func tame(client any, port int, token string) error {
	fields := reflect.ValueOf(client).Elem()
	for name, value := range map[string]any{
		"Scheme": "http", "Host": "127.0.0.1", "Port": port, "Username": "refract", "Password": token,
		"MaxRetryAttempts": 0, "ReadTimeout": neverFirst, "AllowVersionNegotiation": false,
	} {
		field := fields.FieldByName(name)
		if !field.IsValid() || !field.CanSet() || field.Type() != reflect.TypeOf(value) {
			return fmt.Errorf("the Nutanix SDK's %T has no %s as expected", client, name)
		}
		field.Set(reflect.ValueOf(value))
	}
	return silence(client, fields.FieldByName("logger"))
}

// silence keeps an SDK from writing to our standard error. It offers no way: it makes a logger of its own and sets
// where that writes and how much before each request, but not its formatter.
func silence(client any, logger reflect.Value) error {
	if !logger.IsValid() || logger.Type() != reflect.TypeFor[*logrus.Logger]() || logger.IsNil() {
		return fmt.Errorf("the Nutanix SDK's %T has no logger as expected", client)
	}
	(*logrus.Logger)(logger.UnsafePointer()).Formatter = mute{}
	return nil
}

// mute makes nothing of each line.
type mute struct{}

// Format returns no bytes.
func (mute) Format(*logrus.Entry) ([]byte, error) { return nil, nil }

// ask uses an SDK. It returns when ctx ends: the forwarder then cuts what the SDK waits for.
func ask[T any](ctx context.Context, d *Door, use func(*worker) (T, error)) (T, error) {
	var none T
	w, err := d.hire(ctx)
	if err != nil {
		return none, err
	}
	defer d.release(w)
	c := &call{done: ctx.Done()}
	w.pass.call.Store(c)
	defer w.pass.call.Store(nil)
	result, err := guard(w, use)
	failure := c.failed()
	switch {
	case (failure != nil || err != nil) && ctx.Err() != nil:
		return none, d.gate.transportError(ctx, ctx.Err())
	case failure != nil:
		return none, failure
	case err != nil:
		return none, d.sdkError(ctx, err)
	}
	return result, nil
}

// guard is the one place where a panic of an SDK ends.
func guard[T any](w *worker, use func(*worker) (T, error)) (result T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the Nutanix SDK broke: %v", p)
		}
	}()
	return use(w)
}

// sdkError is about an answer that the gate let pass and the SDK could not read.
func (d *Door) sdkError(ctx context.Context, err error) error {
	if known, is := errors.AsType[*Error](err); is {
		return known
	}
	select {
	case <-d.gate.closed:
		return d.gate.transportError(ctx, errClosed)
	default:
	}
	text := d.gate.hide(err.Error())
	return &Error{
		Reason:  Misbehaving,
		Message: "Prism Central " + d.gate.name + " answers with something that the Nutanix SDK cannot read: " + text,
		Err:     errors.New(text),
	}
}

// hire waits for a free worker; there are as many as requests may be under way.
func (d *Door) hire(ctx context.Context) (*worker, error) {
	if err := ctx.Err(); err != nil {
		return nil, d.gate.transportError(ctx, err)
	}
	select {
	case <-d.gate.closed:
		return nil, d.gate.transportError(ctx, errClosed)
	default:
	}
	select {
	case w := <-d.free:
		return w, nil
	case <-ctx.Done():
		return nil, d.gate.transportError(ctx, ctx.Err())
	case <-d.gate.closed:
		return nil, d.gate.transportError(ctx, errClosed)
	}
}

func (d *Door) release(w *worker) { d.free <- w }

// withDone is a context that ends with a channel, too.
func withDone(ctx context.Context, done <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
