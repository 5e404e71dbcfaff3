using System.Diagnostics;
using System.Net;
using System.Net.NetworkInformation;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Postgres;

[OnlyInAll]
[EachPostgres]
public sealed class EmbeddedPostgresTests(OwnPostgres own) : IClassFixture<OwnPostgres>, IDisposable
{
    private readonly string _temporary = Directory.CreateTempSubdirectory("actors-test-").FullName;
    private string? _elsewhere;     // where embedded servers of the temporary folder have their files

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        Directory.Delete(_temporary, recursive: true);
        if (_elsewhere is not null)
        {
            Directory.Delete(_elsewhere, recursive: true);
        }
    }

    [Fact]
    public async Task A_given_connection_string_wins_and_starts_nothing()
    {
        var server = await EmbeddedPostgres.StartAsync(new(_temporary) { ConnectionString = "Host=elsewhere" }, cancellation: Cancellation);

        Assert.Equal(new PostgresServer("Host=elsewhere", Folder: null, Adopted: true), server);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_temporary));
    }

    [Fact]
    public async Task When_nothing_is_found_the_message_names_the_three_ways_out()
    {
        var nothing = new PostgresSource(_temporary, path: _temporary, usualFolders: [Path.Combine(_temporary, "*", "bin")]);

        var missing = await Assert.ThrowsAsync<PostgresMissingException>(() => nothing.FindAsync(null, Assert.Fail, Cancellation));

        Assert.Contains("1. Set ACTORS_POSTGRES", missing.Message);
        Assert.Contains("2. Install PostgreSQL", missing.Message);
        Assert.Contains("3. Install npm", missing.Message);
        Assert.Contains("npm is not on PATH", missing.Message);
    }

    [Theory]
    [InlineData("14")]
    [InlineData("latest")]
    public void A_version_that_is_not_supported_is_refused(string version) =>
        Assert.Contains($"'{version}'", Assert.Throws<ArgumentException>(() => PostgresSettings.ParseMajor(version)).Message);

    [Fact]
    public async Task Of_those_who_ask_at_the_same_time_one_starts_the_server_and_the_others_adopt_it()
    {
        await own.StopAsync(Cancellation);
        var servers = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => own.StartAsync(cancellation: Cancellation)));

        Assert.Single(servers, server => !server.Adopted);
        Assert.Single(servers.Select(server => server.ConnectionString).Distinct());
    }

    [Fact]
    public async Task The_server_listens_on_loopback_only_and_asks_for_its_password()
    {
        var server = await own.StartAsync(cancellation: Cancellation);

        var connection = new NpgsqlConnectionStringBuilder(server.ConnectionString);
        Assert.Equal(
            [new IPEndPoint(IPAddress.Loopback, connection.Port)],
            IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners().Where(listener => listener.Port == connection.Port));
        Assert.Equal("", await ShowAsync(server, "unix_socket_directories"));
        connection.Password = "guessed";
        await using var refused = new NpgsqlConnection(connection.ConnectionString);
        Assert.Equal("28P01", (await Assert.ThrowsAsync<PostgresException>(() => refused.OpenAsync(Cancellation))).SqlState);
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(server.Folder!, "password")));
        }
    }

    [Fact]
    public async Task Commits_are_durable_and_bytes_are_the_collation()
    {
        var server = await own.StartAsync(cancellation: Cancellation);

        Assert.Equal("on", await ShowAsync(server, "fsync"));
        Assert.Equal("on", await ShowAsync(server, "synchronous_commit"));
        Assert.Equal("UTF8", await ShowAsync(server, "server_encoding"));
        Assert.Equal("C", await QueryAsync(server, "select datcollate from pg_database where datname = current_database()"));
        var major = int.Parse(await ShowAsync(server, "server_version_num")) / 10_000;
        Assert.Equal(TestPostgres.Settings.Major ?? major, major);
        if (major >= 18)
        {
            Assert.Equal("worker", await ShowAsync(server, "io_method"));
        }
    }

    [Fact]
    public async Task After_a_stop_the_next_start_has_the_same_data_at_the_same_address()
    {
        var first = await own.StartAsync(cancellation: Cancellation);
        await QueryAsync(first, "create table kept as select 1 as value");
        Assert.Equal(first.Folder, await own.StopAsync(Cancellation));

        var second = await own.StartAsync(cancellation: Cancellation);

        Assert.Equal(first with { Adopted = false }, second);
        Assert.Equal("1", await QueryAsync(second, "select value::text from kept"));
    }

    [Fact]
    public async Task A_port_file_that_was_half_written_when_the_disk_was_full_costs_the_port_and_not_the_server()
    {
        var first = await own.StartAsync(cancellation: Cancellation);
        await own.StopAsync(Cancellation);
        await File.WriteAllTextAsync(Path.Combine(first.Folder!, "port"), "", Cancellation);
        Assert.Equal("1", await QueryAsync(await own.StartAsync(cancellation: Cancellation), "select '1'"));
    }

    [Fact]
    public async Task Its_port_is_none_that_the_system_gives_to_an_outgoing_connection_while_it_is_away()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Linux says which ports those are.");
        var given = (await File.ReadAllTextAsync("/proc/sys/net/ipv4/ip_local_port_range", Cancellation)).Split('\t').Select(
            int.Parse).ToArray();

        var server = await own.StartAsync(cancellation: Cancellation);

        Assert.NotInRange(new NpgsqlConnectionStringBuilder(server.ConnectionString).Port, given[0], given[1]);
    }

    [Fact]
    public async Task A_server_that_is_slow_to_start_holds_up_no_other()
    {
        var server = await own.StartAsync(cancellation: Cancellation);
        await own.StopAsync(Cancellation);
        await using var other = new OwnPostgres();
        Task<PostgresServer> waiting;
        using (await new PostgresCluster(server.Folder!, null).LockAsync(Cancellation))     // as the one that starts it
        {
            waiting = own.StartAsync(cancellation: Cancellation);
            await other.StartAsync(cancellation: Cancellation);
            Assert.False(waiting.IsCompleted);
        }
        Assert.False((await waiting).Adopted);
    }

    [Fact]
    public async Task Started_by_root_where_its_user_cannot_reach_the_folder_it_says_where_its_files_are()
    {
        CloseFolder();
        await using var closed = OwnPostgres.In(_temporary);
        var said = new List<string>();

        var server = await closed.StartAsync(said.Add, Cancellation);

        _elsewhere = Path.GetDirectoryName(server.Folder)!;
        Assert.StartsWith("/var/tmp/actors-", _elsewhere);
        Assert.Contains(_elsewhere, said[0]);
        Assert.Equal("actors", await QueryAsync(server, "select current_database()::text"));
    }

    [Fact]
    public async Task The_end_of_a_test_s_server_leaves_the_servers_beside_it_alone()
    {
        CloseFolder();
        await using var others = OwnPostgres.In(_temporary);
        var other = await others.StartAsync(cancellation: Cancellation);
        _elsewhere = Path.GetDirectoryName(other.Folder)!;

        await using (var one = OwnPostgres.In(_temporary))
        {
            await one.StartAsync(cancellation: Cancellation);
        }

        Assert.Equal("actors", await QueryAsync(other, "select current_database()::text"));
    }

    [Fact]
    public async Task A_stop_where_nothing_was_started_makes_no_folder()
    {
        CloseFolder();
        Directory.CreateDirectory(Path.Combine(_temporary, ".actors"));
        await using var none = OwnPostgres.In(_temporary);

        Assert.Null(await none.StopAsync(Cancellation));
        Assert.False(Directory.Exists((await PostgresHome.ChooseAsync(_temporary, _ => { }, Cancellation, create: false)).Folder));
    }

    [Fact]
    public async Task A_process_that_has_the_number_of_a_server_that_is_gone_is_left_alone()
    {
        var killed = await own.StartAsync(cancellation: Cancellation);
        await using var others = new OwnPostgres();
        var other = await others.StartAsync(cancellation: Cancellation);
        var (file, numbers) = (PidFile(killed), File.ReadAllLines(PidFile(killed)));
        using (var server = Process.GetProcessById(int.Parse(numbers[0])))
        {
            server.Kill();
            await server.WaitForExitAsync(Cancellation);
        }
        await File.WriteAllLinesAsync(file, [File.ReadLines(PidFile(other)).First(), .. numbers[1..]], Cancellation);

        Assert.Null(await own.StopAsync(Cancellation));
        Assert.Equal("actors", await QueryAsync(other, "select current_database()::text"));
        Assert.False((await own.StartAsync(cancellation: Cancellation)).Adopted);

        static string PidFile(PostgresServer server) => Path.Combine(server.Folder!, "data", "postmaster.pid");
    }

    /// <summary>As a clone that only root may enter.</summary>
    private void CloseFolder()
    {
        if (OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess)
        {
            Assert.Skip("Only root starts Postgres as another user.");
            return;
        }
        File.SetUnixFileMode(_temporary, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private static Task<string> ShowAsync(PostgresServer server, string setting) => QueryAsync(server, $"show {setting}");

    private static async Task<string> QueryAsync(PostgresServer server, string sql)
    {
        await using var source = NpgsqlDataSource.Create(server.ConnectionString);
        await using var command = source.CreateCommand(sql);
        return (string?)await command.ExecuteScalarAsync(Cancellation) ?? "";
    }
}
