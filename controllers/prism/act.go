package prism

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	config "github.com/nutanix/ntnx-api-golang-clients/prism-go-client/v4/models/prism/v4/config"
	reference "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/models/prism/v4/config"
	ahv "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/models/vmm/v4/ahv/config"

	"github.com/refract-dev/refract/render/site"
)

// PowerOn starts a virtual machine and waits until Prism Central has done it. One that runs is left alone. An error is
// an [*Error].
func (d *Door) PowerOn(ctx context.Context, extID string) error {
	return d.change(ctx, change{
		vm: extID, what: "power on",
		done: func(vm site.VM) bool { return vm.Power == site.PowerOn },
		send: func(w *worker, ifMatch map[string]any) (any, error) {
			a, err := w.vms.PowerOnVm(&extID, ifMatch)
			if err != nil {
				return nil, err
			}
			return a.GetData(), nil
		},
	})
}

// AddCategories puts categories, by ExtID, on a virtual machine and waits until Prism Central has done it. Those that
// it has are left alone. An error is an [*Error].
func (d *Door) AddCategories(ctx context.Context, extID string, categories []string) error {
	var missing []ahv.CategoryReference
	return d.change(ctx, change{
		vm: extID, what: "put categories on",
		done: func(vm site.VM) bool {
			missing = nil
			for _, id := range categories {
				if !slices.Contains(vm.Categories, id) {
					category := ahv.NewCategoryReference()
					category.ExtId = &id
					missing = append(missing, *category)
				}
			}
			return len(missing) == 0
		},
		send: func(w *worker, ifMatch map[string]any) (any, error) {
			body := ahv.NewAssociateVmCategoriesParams()
			body.Categories = missing
			a, err := w.vms.AssociateCategories(&extID, body, ifMatch)
			if err != nil {
				return nil, err
			}
			return a.GetData(), nil
		},
	})
}

// change is an order about one virtual machine.
type change struct {
	vm, what string
	// done says that nothing is left to do.
	done func(site.VM) bool
	// send gives the order and returns the data of the answer.
	send func(w *worker, ifMatch map[string]any) (any, error)
}

// change gives an order and waits for its task. When the machine changed between reading and ordering, both are done
// once more.
func (d *Door) change(ctx context.Context, c change) error {
	task, err := d.order(ctx, c)
	if refusedWith(err, http.StatusPreconditionFailed) {
		task, err = d.order(ctx, c)
	}
	if err != nil || task == "" {
		return err
	}
	return d.await(ctx, task, c)
}

// order returns the identifier of the task; empty when there is nothing to do.
func (d *Door) order(ctx context.Context, c change) (string, error) {
	vm, etag, err := d.vm(ctx, c.vm)
	if err != nil || c.done(vmOf(vm)) {
		return "", err
	}
	return ask(ctx, d, func(w *worker) (string, error) {
		data, err := c.send(w, map[string]any{"If-Match": &etag})
		if err != nil {
			return "", err
		}
		task, ok := data.(reference.TaskReference)
		if !ok || deref(task.ExtId) == "" {
			return "", errors.New("no task in it")
		}
		return *task.ExtId, nil
	})
}

const (
	firstPoll = 100 * time.Millisecond
	lastPoll  = 2 * time.Second
)

// await waits for a task, at most as long as our patience. The SDKs' own wait does not end for a task that was
// cancelled.
func (d *Door) await(ctx context.Context, task string, c change) error {
	patient, cancel := context.WithTimeout(ctx, d.patience)
	defer cancel()
	for wait := firstPoll; ; wait = min(2*wait, lastPoll) {
		t, err := d.task(patient, task)
		if ctx.Err() == nil && patient.Err() != nil {
			return d.taskFailed(c, fmt.Sprintf("it is not done after %s; look at it in Prism Central's list of tasks", d.patience))
		}
		if err != nil {
			return err
		}
		switch deref(t.Status) {
		case config.TASKSTATUS_SUCCEEDED:
			return nil
		case config.TASKSTATUS_FAILED, config.TASKSTATUS_CANCELED, config.TASKSTATUS_SUSPENDED:
			return d.taskFailed(c, deref(t.Status).GetName()+d.because(t))
		default:
		}
		// The error is the time's; the next round tells whose.
		if d.gate.pause(patient, wait) != nil && ctx.Err() != nil {
			return d.gate.transportError(ctx, ctx.Err())
		}
	}
}

func (d *Door) task(ctx context.Context, id string) (config.Task, error) {
	return ask(ctx, d, func(w *worker) (config.Task, error) {
		a, err := w.tasks.GetTaskById(&id, nil)
		if err != nil {
			return config.Task{}, err
		}
		t, ok := a.GetData().(config.Task)
		if !ok || t.Status == nil {
			return config.Task{}, errors.New("no state of a task in it")
		}
		return t, nil
	})
}

func (d *Door) taskFailed(c change, how string) error {
	return &Error{
		Reason:  TaskFailed,
		Message: fmt.Sprintf("Prism Central %s did not %s the virtual machine %s: the task is %s", d.gate.name, c.what, c.vm, how),
	}
}

// because is ": ..." when a task says why it failed. Not every task does.
func (d *Door) because(t config.Task) string {
	if why := messageOf(t); why != "" {
		return ": " + d.gate.hide(why)
	}
	return ", without a reason"
}

func messageOf(t config.Task) string {
	for _, m := range t.ErrorMessages {
		if text := deref(m.Message); text != "" {
			return text
		}
	}
	return deref(t.LegacyErrorMessage)
}
