#!/bin/sh
# http_foreign.sh PROGRAM FOLDER PORT: nginx, h2o or lighttpd on 127.0.0.1, as one process with one thread, without a
# log. GET /plain: 12 bytes. GET /static/NAME: a file. FOLDER has them, and gets the configuration.
folder=$2 port=$3
config=$folder/$1.conf
PATH=$PATH:/usr/sbin

configure_nginx()
{
    cat << END
daemon off;
master_process off;
pid $folder/nginx.pid;
worker_rlimit_nofile 20000;
events { worker_connections 16000; }
http {
    access_log off;
    default_type text/plain;
    sendfile on;
    open_file_cache max=100;
    keepalive_timeout 600;
    keepalive_requests 1000000000;
    client_body_temp_path $folder/nginx;
    proxy_temp_path $folder/nginx;
    fastcgi_temp_path $folder/nginx;
    uwsgi_temp_path $folder/nginx;
    scgi_temp_path $folder/nginx;
    server {
        listen 127.0.0.1:$port backlog=4096;
        root $folder;
        location = /plain { return 200 "Hello, world"; }
    }
}
END
}

configure_h2o()
{
    [ "$(id -u)" != 0 ] || echo "user: $(id -un)"
    cat << END
num-threads: 1
max-connections: 16000
http1-request-timeout: 600
listen: { host: 127.0.0.1, port: $port }
hosts: { default: { paths: { "/": { file.dir: $folder } } } }
END
}

configure_lighttpd()
{
    cat << END
server.bind = "127.0.0.1"
server.port = $port
server.document-root = "$folder"
server.max-fds = 20000
server.max-connections = 10000
server.listen-backlog = 4096
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 600
mimetype.assign = ( "" => "text/plain" )
END
}

"configure_$1" > "$config" || exit 1
echo "listening on 127.0.0.1:$port"
case $1 in
nginx) exec nginx -e stderr -p "$folder" -c "$config" ;;
h2o) exec h2o -c "$config" ;;
lighttpd) exec lighttpd -D -f "$config" ;;
esac
