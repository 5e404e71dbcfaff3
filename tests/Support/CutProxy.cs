using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace Actors.Support;

/// <summary>What happens to the next request that a client sends through the proxy.</summary>
public enum Cut
{
    /// <summary>It never reaches the server; both connections end.</summary>
    Request,

    /// <summary>The server handles it; its answer is swallowed and both connections end.</summary>
    Answer,

    /// <summary>The server gets it and keeps its connection, the client loses its own at once: a backend without a master.</summary>
    Client,
}

/// <summary>A TCP proxy before a Postgres server, which loses requests or answers when it is told to.</summary>
public sealed class CutProxy : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly List<TcpClient> _open = [];
    private readonly (string Host, int Port) _server;
    private Cut? _next;
    private volatile int _generation;
    private volatile bool _vanished;

    /// <param name="port">Default: any that is free.</param>
    /// <param name="at">Where it listens; default: loopback.</param>
    public CutProxy(string connectionString, int port = 0, IPAddress? at = null)
    {
        _listener = new TcpListener(at ?? IPAddress.Loopback, port);
        var settings = new NpgsqlConnectionStringBuilder(connectionString);
        _server = (settings.Host!, settings.Port);
        _listener.Start();
        var here = (IPEndPoint)_listener.LocalEndpoint;
        (settings.Host, settings.Port, settings.SslMode) = ($"{here.Address}", here.Port, SslMode.Disable);
        ConnectionString = settings.ConnectionString;
        _ = AcceptAsync();
    }

    public string ConnectionString { get; }

    /// <summary>The connections that are open now hear nothing any more and are not ended, as when the server's machine has vanished. New
    /// ones go through.</summary>
    public void Silence()
    {
        lock (_open)
        {
            _generation++;
        }
    }

    /// <summary>New ones too, until <see cref="Speak"/>: what was opened meanwhile stays silent.</summary>
    public void Vanish()
    {
        _vanished = true;
        Silence();
    }

    public void Speak()
    {
        Silence();
        _vanished = false;
    }

    /// <summary>Requests that were cut.</summary>
    public int Cuts { get; private set; }

    /// <summary>The next request on any connection meets this.</summary>
    public Task CutNextAsync(Cut cut)
    {
        lock (_open)
        {
            _next = cut;
        }

        return Task.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        _listener.Dispose();
        lock (_open)
        {
            _open.ForEach(client => client.Dispose());
        }

        return ValueTask.CompletedTask;
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync();
                var server = new TcpClient { NoDelay = true };
                await server.ConnectAsync(_server.Host, _server.Port);
                client.NoDelay = true;
                lock (_open)
                {
                    _open.AddRange([client, server]);
                }

                _ = new Link(this, client, server).RunAsync();
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // The end.
        }
    }

    private Cut? TakeNext()
    {
        lock (_open)
        {
            var next = _next;
            _next = null;
            Cuts += next is null ? 0 : 1;
            return next;
        }
    }

    private sealed class Link(CutProxy proxy, TcpClient client, TcpClient server)
    {
        private readonly int _generation = proxy._generation;
        private volatile bool _swallowing;

        private bool IsSilent => proxy._vanished || proxy._generation != _generation;

        public Task RunAsync() => Task.WhenAll(ForwardAsync(), BackAsync());

        private async Task ForwardAsync()
        {
            var buffer = new byte[64 * 1024];
            Cut? cut = null;
            try
            {
                while (await client.GetStream().ReadAsync(buffer) is var read and > 0)
                {
                    if (IsSilent)
                    {
                        continue;
                    }

                    cut ??= proxy.TakeNext();
                    if (cut == Cut.Request)
                    {
                        break;
                    }

                    _swallowing |= cut is not null;
                    await server.GetStream().WriteAsync(buffer.AsMemory(0, read));
                    if (cut == Cut.Client && EndsRequest(buffer.AsSpan(0, read)))
                    {
                        client.Dispose();
                        return;
                    }
                }
            }
            catch (Exception error) when (error is IOException or ObjectDisposedException)
            {
                // Either side has gone.
            }

            client.Dispose();
            server.Dispose();
        }

        private async Task BackAsync()
        {
            var buffer = new byte[64 * 1024];
            try
            {
                while (await server.GetStream().ReadAsync(buffer) is var read and > 0)
                {
                    if (IsSilent)
                    {
                        continue;
                    }

                    if (!_swallowing)
                    {
                        await client.GetStream().WriteAsync(buffer.AsMemory(0, read));
                    }
                    else if (EndsAnswer(buffer.AsSpan(0, read)))
                    {
                        break;
                    }
                }
            }
            catch (Exception error) when (error is IOException or ObjectDisposedException or InvalidOperationException)
            {
                // Either side has gone.
            }

            client.Dispose();
            server.Dispose();
        }

        // Sync, or a simple query.
        private static bool EndsRequest(ReadOnlySpan<byte> bytes) => bytes[0] == 'Q' || bytes.EndsWith("S\0\0\0\u0004"u8);

        // ReadyForQuery.
        private static bool EndsAnswer(ReadOnlySpan<byte> bytes) => bytes.Length >= 6 && bytes[^6..^1].SequenceEqual("Z\0\0\0\u0005"u8);
    }
}
