package proctest

import "syscall"

// attributes makes the kernel kill the program when the test binary is killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
