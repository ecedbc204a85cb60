/// The settings that the templates must come to, without comments and blank lines.
enum Expected {
    static let nginx = """
        daemon off;
        pid /d/nginx/nginx.pid;
        error_log stderr warn;
        user www-data;
        worker_processes 2;
        worker_rlimit_nofile 4096;
        worker_shutdown_timeout 15s;
        events {
            worker_connections 2048;
            multi_accept on;
        }
        http {
            include http.conf;
            access_log /d/logs/nginx-access.log sluice buffer=64k flush=1s;
            client_body_temp_path /d/nginx/temp/body;
            proxy_temp_path /d/nginx/temp/proxy;
            fastcgi_temp_path /d/nginx/temp/fastcgi;
            uwsgi_temp_path /d/nginx/temp/uwsgi;
            scgi_temp_path /d/nginx/temp/scgi;
            upstream payments {
                server unix:/d/run/edge/gateway-a.0 max_fails=0;
                server unix:/d/run/edge/gateway-b.0 max_fails=0;
                server unix:/d/run/edge/gateway-a.1 max_fails=0;
                server unix:/d/run/edge/gateway-b.1 max_fails=0;
                keepalive 256;
                keepalive_requests 1000000;
                keepalive_timeout 20s;
            }
            upstream inquiries {
                server unix:/d/run/edge/gateway-b.0 max_fails=0;
                server unix:/d/run/edge/gateway-b.1 max_fails=0;
                keepalive 256;
                keepalive_requests 1000000;
                keepalive_timeout 20s;
            }
            upstream live {
                server 127.0.0.1:9011;
                server 127.0.0.1:9012;
            }
            server {
                listen 127.0.0.1:9000 reuseport backlog=4096;
                include api.conf;
                location /live/ {
                    access_log off;
                    rewrite ^/live/([a-z.]*)$ /$1 break;
                    proxy_pass http://live;
                }
                location = /live/sources {
                    access_log off;
                    default_type application/json;
                    return 200 '[{"name":"gateway-a","path":"gateway-a/metrics"},{"name":"gateway-b","path":"gateway-b/metrics"},{"name":"worker-1","path":"worker-1/metrics"}]';
                }
                location = /live/gateway-a/metrics {
                    access_log off;
                    proxy_pass http://127.0.0.1:9011/metrics;
                }
                location = /live/gateway-b/metrics {
                    access_log off;
                    proxy_pass http://127.0.0.1:9012/metrics;
                }
                location = /live/worker-1/metrics {
                    access_log off;
                    proxy_pass http://127.0.0.1:9021/metrics;
                }
            }
            server {
                listen unix:/d/run/edge/nginx.sock;
                access_log off;
                location = /readyz {
                    return 200;
                }
                location = /status {
                    stub_status;
                }
            }
        }
        """

    static let redis = """
        port 0
        unixsocket /d/run/redis.sock
        unixsocketperm 700
        dir /d/redis
        aclfile /d/redis/users.acl
        daemonize no
        loglevel notice
        logfile ""
        save ""
        appendonly no
        maxmemory 256mb
        maxmemory-policy noeviction
        lazyfree-lazy-expire yes
        notify-keyspace-events ""
        maxclients 2000
        timeout 0
        client-output-buffer-limit pubsub 32mb 8mb 10
        client-output-buffer-limit normal 64mb 32mb 10
        tracking-table-max-keys 1000000
        slowlog-log-slower-than 10000
        """

    /// What keeps the promises; sizes and logging may change freely.
    static let postgresPromises = [
        "fsync = on", "full_page_writes = on", "wal_level = replica", "synchronous_commit = on", "hot_standby = on",
        "password_encryption = scram-sha-256", "listen_addresses = '127.0.0.1'", "unix_socket_permissions = 0700",
        "max_connections = 250",
    ]
}
