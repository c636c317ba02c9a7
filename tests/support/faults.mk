# The system calls that tests/support/faults.h can make fail, each as the linker's --wrap: of kernel_linux.c alone.
FAULTS := recv send sendmsg read write writev accept4 socket bind listen connect setsockopt getsockopt getpeername \
          epoll_create1 epoll_ctl epoll_wait eventfd fcntl close pipe2 sendfile shutdown poll pthread_create getaddrinfo \
          open openat fstat pread syscall socketpair fork kill
WRAP   := $(if $(filter linux,$(KERNEL)),$(FAULTS:%=-Wl$(comma)--wrap=%))
