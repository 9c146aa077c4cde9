package uml

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// memoryFolder returns the first of the folders that can hold the machine's
// memory: a sparse file that the kernel maps executable and fills as it goes.
// On a file system without room it would be killed in mid-flight (SIGBUS), as
// happens with the 64 MiB /dev/shm of many containers.
func memoryFolder(size int64, folders ...string) (string, error) {
	var errs []error
	for _, folder := range folders {
		err := holdsMemory(folder, size)
		if err == nil {
			return folder, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("no room for the machine's memory: %w", errors.Join(errs...))
}

func holdsMemory(folder string, size int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(folder, &fs); err != nil {
		return fmt.Errorf("look at %s: %w", folder, err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < size {
		return fmt.Errorf("%s has %d MiB free, %d needed", folder, free>>20, size>>20)
	}
	file, err := os.CreateTemp(folder, "uml-probe-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if err := file.Truncate(4096); err != nil {
		return err
	}
	page, err := unix.Mmap(int(file.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map a file in %s as code (is it mounted noexec?): %w", folder, err)
	}
	return unix.Munmap(page)
}
