using System.Net;
using System.Net.Sockets;

namespace Actors.Faults;

/// <summary>A TCP proxy before a port of a silo or of Postgres. What it does to connections can be changed while it runs.</summary>
internal sealed class FaultProxy : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Func<int> _serverPort;
    private readonly HashSet<TcpClient> _open = [];
    private volatile TaskCompletionSource _gate = Opened();
    private volatile Func<int>? _cutProcess;
    private int _machine;
    private int _answersToLose;
    private int _requestsToLose;

    public FaultProxy(Func<int> serverPort)
    {
        _serverPort = serverPort;
        _listener.Start();
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>New connections are closed at once.</summary>
    public volatile bool Refuses;

    /// <summary>Each piece of data takes this much longer.</summary>
    public volatile int DelayMs;

    /// <summary>All connections end, without a word.</summary>
    public void Reset() => Close(_ => true);

    /// <summary>All connections end, and new ones are closed at once.</summary>
    public void Cut()
    {
        Refuses = true;
        Reset();
    }

    /// <summary>The same for those of one process alone.</summary>
    /// <param name="processId">Asked for each connection: the process may be another one by then.</param>
    public void CutFrom(Func<int> processId)
    {
        _cutProcess = processId;
        Close(client => IsFrom(processId(), client));
    }

    /// <summary>Nothing passes, in either direction, until <see cref="Resume"/>: a network that has gone.</summary>
    public void Stall() => _gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Resume() => _gate.TrySetResult();

    /// <summary>The machine behind is gone, and with it what it knew of its connections: they stay silent after <see cref="Resume"/> too,
    /// when new ones reach its successor.</summary>
    public void Vanish()
    {
        Stall();
        Interlocked.Increment(ref _machine);
    }

    /// <summary>So many requests reach the server, and their answers are lost with their connections.</summary>
    public void LoseAnswers(int count) => Interlocked.Exchange(ref _answersToLose, count);

    /// <summary>So many requests are lost with their connections.</summary>
    public void LoseRequests(int count) => Interlocked.Exchange(ref _requestsToLose, count);

    public void Heal()
    {
        (Refuses, DelayMs, _cutProcess) = (false, 0, null);
        LoseAnswers(0);
        LoseRequests(0);
        Resume();
    }

    public void Dispose()
    {
        _listener.Dispose();
        Resume();
        Reset();
    }

    private static TaskCompletionSource Opened()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        gate.SetResult();
        return gate;
    }

    private void Close(Func<TcpClient, bool> which)
    {
        lock (_open)
        {
            _open.RemoveWhere(client =>
            {
                var goes = which(client);
                if (goes)
                {
                    client.Client?.Close(0); // Null where it ended by itself just now.
                }

                return goes;
            });
        }
    }

    private static bool IsFrom(int processId, TcpClient client)
    {
        try
        {
            return client.Client?.RemoteEndPoint is IPEndPoint from && SocketOwner.Is(processId, from.Port);
        }
        catch (Exception error) when (IsOver(error))
        {
            return false;
        }
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync();
                if (Refuses || (_cutProcess is { } cut && IsFrom(cut(), client)))
                {
                    client.Dispose();
                    continue;
                }

                _ = ServeAsync(client);
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // The end.
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using var server = new TcpClient { NoDelay = true };
        client.NoDelay = true;
        lock (_open)
        {
            _open.Add(client);
            _open.Add(server);
        }

        try
        {
            await server.ConnectAsync(IPAddress.Loopback, _serverPort());
            await Task.WhenAny(PumpAsync(client, server, isRequest: true), PumpAsync(server, client, isRequest: false));
        }
        catch (Exception error) when (IsOver(error))
        {
            // The server is away.
        }
        finally
        {
            client.Dispose();
            server.Dispose();
            lock (_open)
            {
                _open.Remove(client);
                _open.Remove(server);
            }
        }
    }

    private async Task PumpAsync(TcpClient from, TcpClient to, bool isRequest)
    {
        var (buffer, machine) = (new byte[64 * 1024], Volatile.Read(ref _machine));
        try
        {
            while (await from.GetStream().ReadAsync(buffer) is var read and > 0)
            {
                await _gate.Task;
                if (machine != Volatile.Read(ref _machine))
                {
                    continue;
                }

                if (DelayMs > 0)
                {
                    await Task.Delay(DelayMs);
                }

                if (isRequest ? Take(ref _requestsToLose) : Take(ref _answersToLose))
                {
                    return;
                }

                await to.GetStream().WriteAsync(buffer.AsMemory(0, read));
            }
        }
        catch (Exception error) when (IsOver(error))
        {
            // One side has gone.
        }
    }

    private static bool Take(ref int count)
    {
        if (Volatile.Read(ref count) <= 0)
        {
            return false;
        }

        if (Interlocked.Decrement(ref count) >= 0)
        {
            return true;
        }

        Interlocked.Increment(ref count);
        return false;
    }

    private static bool IsOver(Exception error) =>
        error is IOException or SocketException or ObjectDisposedException or InvalidOperationException;
}
