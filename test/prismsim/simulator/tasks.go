package simulator

import (
	"net/http"
	"time"

	"github.com/google/uuid"
)

const (
	taskQueued    = "QUEUED"
	taskRunning   = "RUNNING"
	taskSucceeded = "SUCCEEDED"
	taskFailed    = "FAILED"
	taskCanceled  = "CANCELED"
	taskSuspended = "SUSPENDED"
)

// taskPrefix stands before the UUID of a task: base64 of the service's name.
const taskPrefix = "ZXJnb24=:"

type task struct {
	extID, operation, status string
	// entity is the VM that the task changes, vmName its name, element the
	// extId of its cluster.
	entity, vmName, element string
	// failure is the message of a task that failed; noText says that it has a
	// code instead.
	failure string
	noText  bool
	// started and completed are zero until then.
	created, started, completed time.Time
}

var taskSchema = schema{
	fields: map[string]field{
		"operation": text,
		"status": enumOf("Prism.Config.TaskStatus",
			taskQueued, taskRunning, "CANCELING", taskSucceeded, taskFailed, taskCanceled, taskSuspended),
	},
	lists: map[string]map[string]field{"entitiesAffected": {"extId": text}},
}

func (s *Server) taskRoutes() {
	s.v4("GET /api/prism/v4.2/config/tasks", "prism.v4.config.ListTasksApiResponse", func(r *request) (reply, error) {
		docs := make([]object, 0, len(s.tasks))
		for _, t := range s.tasks {
			docs = append(docs, t.document())
		}
		return list(r, docs, taskSchema)
	})
	s.v4("GET /api/prism/v4.2/config/tasks/{extId}", "prism.v4.config.GetTaskApiResponse", func(r *request) (reply, error) {
		if _, err := queryOptions(r); err != nil {
			return reply{}, err
		}
		for _, t := range s.tasks {
			if t.extID == r.PathValue("extId") {
				return answer(http.StatusOK, t.document()), nil
			}
		}
		return reply{}, notFound("task", r.PathValue("extId"))
	})
}

func (t *task) document() object {
	entity := object{"extId": t.entity, "rel": "vmm:ahv:config:vm"}
	if t.vmName != "" {
		entity["name"] = t.vmName
	}
	doc := typed("prism.v4.config.Task", object{
		"extId":                    t.extID,
		"operation":                t.operation,
		"status":                   t.status,
		"entitiesAffected":         []object{typed("prism.v4.config.EntityReference", entity)},
		"numberOfEntitiesAffected": 1,
		"progressPercentage":       t.progress(),
	})
	if t.element != "" {
		doc["clusterExtIds"] = []string{t.element}
	}
	for name, at := range map[string]time.Time{
		"createdTime": t.created, "startedTime": t.started, "completedTime": t.completed,
	} {
		if !at.IsZero() {
			doc[name] = at.UTC().Format(time.RFC3339Nano)
		}
	}
	switch {
	case t.noText:
		doc["errorMessages"] = []object{typed("prism.v4.error.AppMessage", object{"code": "VMM-30000", "severity": "ERROR"})}
	case t.failure != "":
		doc["errorMessages"] = []object{typed("prism.v4.error.AppMessage", object{"message": t.failure, "severity": "ERROR"})}
	}
	return doc
}

func (t *task) progress() int {
	switch {
	case !t.completed.IsZero():
		return 100
	case !t.started.IsZero():
		return 50
	default:
		return 0
	}
}

// start queues work on a VM and answers the reference of its task. The work is
// done when the task ends, with the server locked; its error fails the task.
func (s *Server) start(operation, vmExtID string, work func() error) reply {
	t := &task{
		extID: taskPrefix + uuid.NewString(), operation: operation, status: taskQueued, entity: vmExtID,
		created: s.gate.now(),
	}
	if m := s.vms[vmExtID]; m != nil {
		t.vmName, t.element = m.name, m.cluster
	} else if s.current != nil {
		var element string
		t.vmName, element = s.subject(s.current)
		t.element, _ = s.elementID(element)
	}
	struck := s.strike(atTask, s.current, func(Fault) bool { return true })
	s.tasks = append(s.tasks, t)
	half := s.options.TaskDelay / 2
	s.after(half, func() {
		t.status, t.started = taskRunning, s.gate.now()
		s.after(s.options.TaskDelay-half, func() {
			if !s.spoilTask(t, struck) {
				s.finish(t, work())
			}
		})
	})
	return answer(http.StatusAccepted, reference("prism.v4.config.TaskReference", t.extID))
}

func (s *Server) finish(t *task, err error) {
	t.status = taskSucceeded
	if err != nil {
		t.status, t.failure = taskFailed, err.Error()
		s.logf("task %s of VM %s failed: %v", t.operation, t.entity, err)
	}
	s.ended(t)
}

func (s *Server) ended(t *task) {
	if t.status != taskSuspended {
		t.completed = s.gate.now()
	}
}
