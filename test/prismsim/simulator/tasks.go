package simulator

import (
	"net/http"

	"github.com/google/uuid"
)

const (
	taskQueued    = "QUEUED"
	taskRunning   = "RUNNING"
	taskSucceeded = "SUCCEEDED"
	taskFailed    = "FAILED"
)

// taskPrefix stands before the UUID of a task: base64 of the service's name.
const taskPrefix = "ZXJnb24=:"

type task struct {
	extID, operation, status string
	// entity is the VM that the task changes.
	entity string
	// failure is set when the task failed.
	failure string
}

var taskSchema = schema{
	fields: map[string]field{
		"operation": text,
		"status": enumOf("Prism.Config.TaskStatus",
			taskQueued, taskRunning, "CANCELING", taskSucceeded, taskFailed, "CANCELED", "SUSPENDED"),
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
	doc := typed("prism.v4.config.Task", object{
		"extId":     t.extID,
		"operation": t.operation,
		"status":    t.status,
		"entitiesAffected": []object{
			typed("prism.v4.config.EntityReference", object{"extId": t.entity}),
		},
	})
	if t.failure != "" {
		doc["errorMessages"] = []object{
			typed("prism.v4.error.AppMessage", object{"message": t.failure, "severity": "ERROR"}),
		}
	}
	return doc
}

// start queues work on a VM and answers the reference of its task. The work is
// done when the task ends, with the server locked; its error fails the task.
func (s *Server) start(operation, vmExtID string, work func() error) reply {
	t := &task{extID: taskPrefix + uuid.NewString(), operation: operation, status: taskQueued, entity: vmExtID}
	s.tasks = append(s.tasks, t)
	half := s.options.TaskDelay / 2
	s.after(half, func() {
		t.status = taskRunning
		s.after(s.options.TaskDelay-half, func() { s.finish(t, work()) })
	})
	return answer(http.StatusAccepted, reference("prism.v4.config.TaskReference", t.extID))
}

func (s *Server) finish(t *task, err error) {
	t.status = taskSucceeded
	if err != nil {
		t.status, t.failure = taskFailed, err.Error()
		s.logf("task %s of VM %s failed: %v", t.operation, t.entity, err)
	}
}
